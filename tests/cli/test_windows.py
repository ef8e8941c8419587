"""Large captures, joined in windows, give what is given when all are held."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from tracer.cli import windows


def outcome(run: Run, *arguments: object, summary: Path) -> tuple[list[str], Any]:
    """The journeys in no order, and the summary."""
    result = run("offline", *arguments, "--format", "jsonl", "--summary", summary)
    assert result.exit_code == 0, result.output
    journeys = [json.loads(line) for line in result.stdout.splitlines()]
    said = json.loads(summary.read_text())
    return sorted(json.dumps(journey) for journey in journeys), said


@pytest.mark.parametrize("folder", ["fip-outbound", "two-tenants"])
def test_windows_give_the_same_journeys_and_summary(
    folder: str, captures: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, said = outcome(run, captures / folder, summary=tmp_path / "whole.json")
    monkeypatch.setattr(windows, "LARGE", 0)
    parts, also_said = outcome(run, captures / folder, summary=tmp_path / "parts.json")
    assert parts == whole
    assert also_said == said


def test_windows_give_the_same_pseudonyms(
    captures: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    asked = (captures / "fip-outbound", "--redact-key", tmp_path / "key")
    whole, said = outcome(run, *asked, summary=tmp_path / "whole.json")
    monkeypatch.setattr(windows, "LARGE", 0)
    parts, also_said = outcome(run, *asked, summary=tmp_path / "parts.json")
    assert parts == whole
    assert also_said == said


def test_a_journey_is_explained_though_captures_are_large(
    captures: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("offline", captures / "fip-outbound", "--explain-joins", 1)
    whole = run(*asked).stdout
    monkeypatch.setattr(windows, "LARGE", 0)
    assert run(*asked).stdout == whole != ""


def test_a_filter_and_a_count_apply_to_all_windows(
    captures: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (captures / "fip-outbound", "--proto", "icmp", "--count", 2)
    whole, _ = outcome(run, *asked, summary=tmp_path / "whole.json")
    monkeypatch.setattr(windows, "LARGE", 0)
    parts, said = outcome(run, *asked, summary=tmp_path / "parts.json")
    assert parts == whole
    assert said["shown"] == len(parts) > 0


def test_only_large_captures_are_joined_in_windows(captures: Path, tmp_path: Path) -> None:
    with (tmp_path / "large.pcap").open("wb") as file:
        file.truncate(windows.LARGE)
    assert windows.is_large([str(tmp_path)], {})
    assert windows.is_large([], {"eth0": str(tmp_path / "large.pcap")})
    assert not windows.is_large([str(captures / "fip-outbound"), "-"], {})


def test_what_explains_joins_holds_all_packets(
    captures: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LARGE", 0)
    shown = run("offline", captures / "fip-outbound", "--explain-joins", 3).stdout
    assert "why the hops of journey #3 are one packet" in shown
    assert "rule: -A neutron-l3-agent-float-snat" in shown
