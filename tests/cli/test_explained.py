"""`tracer offline --explain-joins` says what each join rests on."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest


def offline(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tracer.cli", "offline", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_every_hop_but_the_first_is_explained(captures: Path) -> None:
    shown = offline(captures / "fip-outbound", "--proto", "icmp", "--count", "1").stdout
    number = re.search(r"^#(\d+) ICMP", shown, re.MULTILINE)
    assert number
    done = offline(captures / "fip-outbound", "--explain-joins", number[1])
    assert done.returncode == 0, done.stderr
    assert f"why the hops of journey #{number[1]} are one packet" in done.stdout
    tree, reasons = done.stdout.split("why the hops")
    hops = re.findall(r"^ +(\d+) ", tree, re.MULTILINE)
    explained = re.findall(r"hop (\d+) after (\d+): (\w+), (\d+) candidate", reasons)
    assert [hop for hop, *_ in explained] == hops[1:]
    # The source NAT proves itself by the conntrack dump in the folder, and says what it changed.
    assert re.search(r"hop 4 after 3: conntrack.*\n.*\n +changed: src icmp_id.*\(snat\)", reasons)
    assert re.search(
        r"rule: -A neutron-l3-agent-float-snat .*\n +in POSTROUTING → .*qrouter", reasons
    )


def test_what_a_confidence_was_counted_on_is_said(captures: Path) -> None:
    shown = offline(captures / "fip-inbound", "--explain-joins", "3").stdout
    counted = re.findall(r"^  confidence (\S+): (\d+) of (\d+) such joins", shown, re.MULTILINE)
    claimed = set(re.findall(r"candidates?, confidence (\S+)$", shown, re.MULTILINE))
    assert {level for level, *_ in counted} == claimed
    for level, right, joins in counted:
        assert 0 < int(right) <= int(joins)
        # Never more than was counted; of few joins the bound is lower.
        assert float(level) <= int(right) / int(joins) + 0.00005


def test_a_journey_that_is_not_there_is_said(captures: Path) -> None:
    done = offline(captures / "fip-outbound", "--explain-joins", "99999")
    assert done.returncode == 1
    assert "There is no journey 99999." in done.stderr
    assert "Traceback" not in done.stderr


def test_what_else_was_asked_for_is_written_too(captures: Path, tmp_path: Path) -> None:
    words = ("--summary", tmp_path / "summary.json", "--segments", tmp_path / "segments.csv")
    done = offline(captures / "fip-inbound", "--explain-joins", "3", *words)
    assert done.returncode == 0
    assert "109 journeys (1 shown)" in done.stderr
    assert json.loads((tmp_path / "summary.json").read_text())["shown"] == 1
    assert (tmp_path / "segments.csv").read_text().count("\n") > 2


@pytest.mark.parametrize("words", [("-o", "x.csv"), ("--format", "jsonl")])
def test_reasons_are_text(words: tuple[str, str], captures: Path) -> None:
    done = offline(captures / "fip-inbound", "--explain-joins", "3", *words)
    assert done.returncode == 2
    assert "--explain-joins writes text, not" in done.stderr
