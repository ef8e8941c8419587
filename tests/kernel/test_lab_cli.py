"""`tracer lab` from the outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tracer.lab import LabStatus

pytestmark = pytest.mark.kernel


def tracer(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tracer.cli", "lab", *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_status_of_a_lab_that_is_up(lab: LabStatus) -> None:
    done = tracer("status")
    assert done.returncode == 0
    assert done.stdout.startswith(f"lab: up, {len(lab.present)} namespaces\n")
    assert (lab.tagging or "") in done.stdout


def test_up_again_changes_nothing(lab: LabStatus) -> None:
    done = tracer("up")
    assert (done.returncode, done.stdout) == (0, tracer("status").stdout)


@pytest.mark.parametrize("kind", ["ping", "tcp", "udp"])
def test_traffic_shows_its_log(lab: LabStatus, kind: str) -> None:
    done = tracer(kind, "fip-inbound", "--count", "2", "--json")
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["kind"] for entry in log] == ["request", "reply"] * 2
    assert {entry["proto"] for entry in log} == {"icmp" if kind == "ping" else kind}
    assert {entry["src"] for entry in log} == {"100.121.0.57", "192.168.3.69"}


def test_record_makes_a_folder_of_captures(lab: LabStatus, tmp_path: Path) -> None:
    done = tracer("record", str(tmp_path / "new" / "journey"), "east-west", "--count", "2")
    assert done.returncode == 0, done.stderr
    assert "6 captures, 12 numbered packets" in done.stdout
    assert len(list((tmp_path / "new" / "journey").glob("*.pcap"))) == 6
    assert (tmp_path / "new" / "journey" / "points.toml").exists()


def test_unknown_case_is_bad_usage(lab: LabStatus) -> None:
    assert tracer("ping", "sideways").returncode == 2
