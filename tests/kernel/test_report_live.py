"""A live recording and the rules of that moment, reported on: the same file as from captures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tracer.lab import LabStatus

pytestmark = pytest.mark.kernel
PINGS, ID = 7, 22344
QROUTER = "qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d"


def tracer(*words: str | Path) -> None:
    argv = [sys.executable, "-m", "tracer.cli", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_recording_with_its_rules(lab: LabStatus, tmp_path: Path) -> None:
    recording = tmp_path / "recording.parquet"
    ping = [sys.executable, "-m", "tracer.cli", "lab", "ping", "fip-outbound"]
    options = ["--icmp-id", str(ID), "--count", str(PINGS)]
    tracer("follow", "--plain", *options, "--write", recording, "--",
           *ping, "--count", str(PINGS), "--icmp-id", str(ID))  # fmt: skip
    for command in ("iptables-save", "nft list ruleset"):
        inside = ["ip", "netns", "exec", QROUTER, *command.split()]
        rules = tmp_path / f"rules-{QROUTER}.txt"
        rules.write_text(subprocess.run(inside, text=True, capture_output=True, check=True).stdout)
        tracer("report", recording, "--rules", rules, "-o", tmp_path / "incident.json")
        found = json.loads((tmp_path / "incident.json").read_text())
        assert found["summary"]["outcomes"] == {"delivered": 2 * PINGS}
        snat, un_snat = found["translations"]
        assert (snat["before"][0], snat["after"][0]) == ("192.168.3.69", "100.122.0.145")
        assert [each["packets"] for each in (snat, un_snat)] == [PINGS, PINGS]
        assert snat["rules"] == un_snat["rules"]
        (rule,) = snat["rules"]
        assert rule["netns"] == QROUTER
        assert rule["chains"][-1] == "neutron-l3-agent-float-snat"
    tracer("report", recording, "--rules", rules, "-o", tmp_path / "incident.html")
    assert 'class="rule"><code>' in (tmp_path / "incident.html").read_text()
