"""Conntrack dumps and NAT rules: found beside captures, or named."""

import shutil
from pathlib import Path

import pytest

from tracer.api.joining import conntrack_of, rules_of
from tracer.core.errors import InputError


def test_dumps_beside_captures_are_read(captures: Path) -> None:
    entries, warnings = conntrack_of([str(captures / "fip-outbound")], [])
    assert any(entry.netns and entry.netns.startswith("qrouter-") for entry in entries)
    assert any(entry.reply.dst != entry.original.src for entry in entries)
    assert warnings == []


def test_named_dumps_are_read_as_well(captures: Path) -> None:
    (dump, *_) = sorted((captures / "fip-outbound" / "conntrack").glob("qrouter-*.txt"))
    entries, _ = conntrack_of([], [str(dump)])
    lines = [line for line in dump.read_text().splitlines() if line.strip()]
    assert len(entries) == len(lines)


def test_without_dumps_and_folders_there_are_no_entries() -> None:
    assert conntrack_of(["a.pcap"], []) == ([], [])


def test_a_dump_that_is_not_there() -> None:
    with pytest.raises(InputError):
        conntrack_of([], ["no-such-dump.txt"])


def test_rules_beside_captures_and_named(captures: Path) -> None:
    beside, _ = rules_of([str(captures / "fip-outbound")], [])
    (file, *_) = sorted((captures / "fip-outbound" / "iptables").glob("qrouter-*.txt"))
    named, warnings = rules_of(["a.pcap"], [str(file)])
    assert [rule.text for rule in named] == [rule.text for rule in beside]
    assert named[0].netns == beside[0].netns
    assert warnings == []
    assert rules_of(["a.pcap"], []) == ([], [])
    with pytest.raises(InputError):
        rules_of([], ["no-such-rules.txt"])


def test_dumps_and_rules_in_a_folder_of_an_incident_are_read(
    captures: Path, tmp_path: Path
) -> None:
    shutil.copytree(captures / "fip-outbound", tmp_path / "compute03")
    for read in (conntrack_of, rules_of):
        known, _ = read([str(captures / "fip-outbound")], [])
        assert read([str(tmp_path)], [])[0] == known != []
