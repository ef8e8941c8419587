"""Captures of the campus that end early or have gaps, and every form of its conntrack tables.

What captures missed is known from the others, and from what dumpcap says it dropped; the numbers in
payloads say which packets those are.
"""

import os
import re
import socket
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from campus import ASKED
from campus_recording import COUNTED, DEVICES, DUMPS, EARLY, MARK, PAUSED, Recorded, number_in
from campus_truth import kinds, packets
from routed import run
from told import by_frame, hops, joined, partition

from tracer.core.conntrack import ConntrackEntry
from tracer.core.enums import Evidence, Outcome
from tracer.core.journeys import JourneySet
from tracer.sources.conntrack import read_conntrack

pytestmark = pytest.mark.kernel


def files(campus: Recorded, *left_out: str) -> list[Path]:
    return [campus.folder / f"{device}.pcap" for device in DEVICES if device not in left_out]


def aside(campus: Recorded, name: str, folder: Path, as_device: str) -> Path:
    """The capture of that name, under the name of the device it was made at."""
    file = campus.folder / "aside" / name
    link = folder / f"{as_device}{file.suffix}"
    link.symlink_to(file)
    return link


def numbers(file: Path) -> list[int | None]:
    """The number in each frame of a capture, as tshark reads it; none of ICMP."""
    fields = ("udp.payload", "data.data", "icmp.type", "icmpv6.type")
    printed = run(f"tshark -n -r {file} -T fields {' '.join(f'-e {field}' for field in fields)}")
    rows = [dict(zip(fields, line.split("\t"), strict=True)) for line in printed.splitlines()]
    return [None if row["icmp.type"] or row["icmpv6.type"] else number_in(row) for row in rows]


def of_numbers(campus: Recorded, found: JourneySet, kind: str, left_out: str) -> dict[int, int]:
    """The journey of each datagram of a kind, all of whose frames but a device's are in it."""
    of, kind_of = by_frame(found), kinds(campus)
    told = {}
    for packet, frames in packets(campus).items():
        if kind_of[packet[0]] == kind:
            there = {frame for frame in frames if frame[0] != left_out}
            (journey,) = {of[frame] for frame in there}
            assert {frame for frame in hops(found, journey) if frame[0] != left_out} == there
            told[packet[0]] = journey
    return told


def test_after_a_capture_stopped_nothing_is_lost(campus: Recorded, tmp_path: Path) -> None:
    early = aside(campus, f"{EARLY}.pcap", tmp_path, "s0")
    found = joined([*files(campus, "s0"), early])
    seen = set(numbers(early))
    before = of_numbers(campus, found, "before", "s0")
    assert before.keys() <= seen
    assert {int(found.journeys["outcome"][j]) for j in before.values()} == {Outcome.DELIVERED}
    for number, journey in of_numbers(campus, found, "three nats", "s0").items():
        if number in seen:
            continue
        outcome = Outcome(found.journeys["outcome"][journey])
        assert outcome in (Outcome.DELIVERED, Outcome.UNFINISHED), number


def test_a_gap_on_the_way_takes_journeys_not_apart(campus: Recorded, tmp_path: Path) -> None:
    paused = aside(campus, f"{PAUSED}.pcap", tmp_path, "i0")
    found = joined([*files(campus, "i0"), paused])
    seen = Counter(numbers(paused))
    burst = of_numbers(campus, found, "burst", "i0")
    missed = [number for number in burst if not seen[number]]
    assert len(missed) > 400
    for number, journey in burst.items():
        assert found.journeys["outcome"][journey] == Outcome.DELIVERED, number
        assert sum(device == "i0" for device, _ in hops(found, journey)) == seen[number]


def dropped(file: Path) -> int:
    """What a pcapng file says that its capture dropped, as tshark reads its blocks."""
    field = "pcapng.options.option.data.interface.dropped"
    return int(run(f"tshark -n -r {file} -X 'read_format:MIME Files Format' -T fields -e {field}"))


def test_what_a_capture_says_it_dropped_is_lost_by_it(campus: Recorded, tmp_path: Path) -> None:
    counted = aside(campus, f"{COUNTED}.pcapng", tmp_path, "o0")
    # Of the others what was asked, no answer: an answer would say that all arrived.
    for device in ("a0", "pa", "i0"):
        run(f"tcpdump -r {campus.folder}/{device}.pcap -w {tmp_path}/{device}.pcap "
            f"'udp dst port {ASKED}' 2>&1")  # fmt: skip
    found = joined(tmp_path / f"{device}.{kind}" for device, kind in (
        ("a0", "pcap"), ("pa", "pcap"), ("i0", "pcap"), ("o0", "pcapng")))  # fmt: skip
    of, burst = by_frame(found), set(campus.log["burst"])
    asked = {
        number: of["a0", frame]
        for frame, number in enumerate(numbers(tmp_path / "a0.pcap"), 1)
        if number in burst
    }
    assert asked.keys() == burst
    seen = set(numbers(counted))
    missed = asked.keys() - seen
    assert 0 < len(missed) <= dropped(counted)
    for number, journey in asked.items():
        outcome = Outcome(found.journeys["outcome"][journey])
        expected = Outcome.LOST_BY_TRACER if number in missed else Outcome.DELIVERED
        assert outcome == expected, number


def proof(found: JourneySet) -> Counter[tuple[int, str]]:
    """How often joins across a translation rest on what, by protocol."""
    hops_of, packets_of = found.hops, found.observations.packets
    later = np.flatnonzero(hops_of["parent"] > 0)
    first = found.journeys["first_hop"][hops_of["journey"][later]]
    rows, before = hops_of["row"][later], hops_of["row"][first + hops_of["parent"][later] - 1]
    a, b = packets_of[before], packets_of[rows]
    names = ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "icmp_id")
    changed = np.logical_or.reduce([a[name] != b[name] for name in names])
    error = np.isin(b["icmp_type"], (3, 11)) & (b["proto"] == socket.IPPROTO_ICMP)
    error |= np.isin(b["icmp_type"], (1, 2, 3)) & (b["proto"] == socket.IPPROTO_ICMPV6)
    # The marks at the end may come when an event log has ended.
    marks = (b["proto"] == socket.IPPROTO_UDP) & (b["payload_len"] == len(MARK))
    whole = changed & ~error & ~marks & (b["frag_offset"] <= 0)
    return Counter(
        (int(proto), Evidence(e).label)
        for proto, e in zip(b["proto"][whole], hops_of["evidence"][later][whole], strict=True)
    )


@pytest.fixture(scope="module")
def without(campus: Recorded) -> JourneySet:
    return joined(files(campus))


@pytest.mark.parametrize("form", [*DUMPS, "events"])
def test_every_form_of_conntrack_is_proof(form: str, campus: Recorded, without: JourneySet) -> None:
    entries: list[ConntrackEntry] = []
    for file in campus.dumps[form]:
        some, warnings = read_conntrack(file)
        assert {warning.kind for warning in warnings} <= {"icmp-id-absent"}
        entries += some
    found = joined(files(campus), entries)
    told = proof(found)
    protocols = {proto for proto, _ in told}
    assert protocols >= {socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP}
    for proto, evidence in told:
        is_named = form != "xml" or proto in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
        assert (evidence == "conntrack") == is_named, (proto, evidence, told)
    assert partition(found) == partition(without)


def test_event_logs_say_when(campus: Recorded) -> None:
    entries, _ = read_conntrack(campus.dumps["events"][0])
    lines = campus.dumps["events"][0].read_text().splitlines()
    stamps = [re.match(r"\[(\d+)\.(\d{6})", line) for line in lines]
    assert [entry.time_ns for entry in entries] == [
        int(stamp[1]) * 10**9 + int(stamp[2]) * 1000 for stamp in stamps if stamp
    ]
    assert all(stamps)
    assert os.path.getsize(campus.dumps["events"][0]) > 10_000
