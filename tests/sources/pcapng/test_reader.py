"""pcapng files of every kind against tshark, and every way in which they are damaged."""

import struct
import subprocess
from pathlib import Path

import pytest

from sources.files import (
    START,
    UDP,
    Chunks,
    block,
    enhanced,
    frames_of,
    interface,
    kinds,
    option,
    pcap,
    section,
    some,
    tshark,
)
from tracer.core.errors import InputError
from tracer.sources.findings import Findings
from tracer.sources.pcapng.reader import PcapngReader
from tracer.sources.read import read
from tracer.sources.stream import Buffer


def reader_of(data: bytes) -> PcapngReader:
    reader = PcapngReader(Buffer(Chunks(data)), Findings("file"))
    for _ in reader.windows():
        pass
    return reader


@pytest.mark.parametrize("order", ["<", ">"])
def test_sections_of_either_byte_order_with_interfaces_of_their_own(
    tmp_path: Path, order: str
) -> None:
    other = ">" if order == "<" else "<"
    nanos = option(9, b"\x09", order) + option(2, b"qr-1f6b0aa3-3d", order)
    data = section(order) + interface(order=order) + interface(options=nanos, order=order)
    data += enhanced(stamp=START * 10**6 + 5, order=order)
    data += enhanced(UDP + b"x", stamp=START * 10**9 + 7, number=1, order=order)
    data += section(other) + interface(linktype=101, order=other)
    data += enhanced(UDP[14:], stamp=START * 10**6 + 9, order=other)
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)

    rows, findings = frames_of(data)

    assert not findings.warnings()
    assert [row[:4] for row in rows] == tshark(path)
    assert [row[1] for row in rows] == [
        START * 10**9 + 5000,
        START * 10**9 + 7,
        START * 10**9 + 9000,
    ]
    assert [row[4] for row in rows] == [0, 1, 2]
    described = reader_of(data).interfaces
    assert [(i.linktype, i.name) for i in described] == [
        (1, None), (1, "qr-1f6b0aa3-3d"), (101, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("resolution", "units"),
    [(0, 1), (3, 10**3), (6, 10**6), (9, 10**9), (0x80 | 10, 2**10), (0x80 | 30, 2**30)],
)
def test_time_resolutions_and_offsets_are_as_tshark_has_them(
    tmp_path: Path, resolution: int, units: int
) -> None:
    options = option(9, bytes([resolution])) + option(14, struct.pack("<q", 1000))
    stamps = [START * units, START * units + units // 3, START * units + units - 1]
    data = section() + interface(options=options)
    data += b"".join(enhanced(stamp=stamp) for stamp in stamps)
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)
    rows, _ = frames_of(data)
    assert [row[1] for row in rows] == [s * 10**9 // units + 1000 * 10**9 for s in stamps]
    assert [row[:4] for row in rows] == tshark(path)


def test_a_stamp_beyond_64_bit_nanoseconds_is_unknown() -> None:
    data = section() + interface() + enhanced(stamp=2**64 - 1) + enhanced()
    rows, findings = frames_of(data)
    assert [row[1] for row in rows] == [-1, START * 10**9]
    assert kinds(findings) == {"bad-timestamp": 1}


def test_obsolete_and_simple_packet_blocks_are_read(tmp_path: Path) -> None:
    stamp = START * 10**6
    head = struct.pack("<HHIIII", 0, 3, stamp >> 32, stamp & 0xFFFF_FFFF, len(UDP), len(UDP))
    obsolete = block(2, head + UDP + bytes(-len(UDP) % 4) + option(2, struct.pack("<I", 2)))
    simple = block(3, struct.pack("<I", 1000) + UDP[:40])
    data = section() + interface(snaplen=40) + obsolete + simple
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)
    rows, findings = frames_of(data)
    assert [row[1:6] for row in rows] == [
        (START * 10**9, len(UDP), len(UDP), 0, 1),
        (-1, 40, 1000, 0, -1),
    ]
    assert [(n, c, w) for n, _, c, w in tshark(path)] == [(r[0], r[2], r[3]) for r in rows]
    assert kinds(findings) == {"no-timestamp": 1}
    assert reader_of(data).dropped == 3


def test_direction_comes_from_the_packet_flags(tmp_path: Path) -> None:
    options = [b"", *(option(2, struct.pack("<I", flags)) for flags in (0, 1, 2, 3, 0x1F01))]
    data = section() + interface() + b"".join(enhanced(options=o + option(0, b"")) for o in options)
    assert [row[5] for row in frames_of(data)[0]] == [-1, -1, 0, 1, -1, 0]
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)
    command = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.packet_flags_direction"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert [int(s, 16) if s else None for s in said[:-1]] == [None, 0, 1, 2, 3, 1]


def test_blocks_that_hold_no_packets_are_passed_over(tmp_path: Path) -> None:
    names = block(4, struct.pack("<HH", 0, 0))
    secrets = block(10, struct.pack("<II", 0x544C534B, 4) + b"abcd")
    unknown = block(0x7777_7777, bytes(40_000))
    data = section() + interface()
    for other in (names, secrets, unknown):
        data += other + enhanced()
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)
    for window in (64, 1 << 16):
        rows, findings = frames_of(data, window)
        assert [row[:4] for row in rows] == tshark(path)
        assert not findings.warnings()


def test_custom_blocks_are_no_packets() -> None:
    custom = block(0xBAD, struct.pack("<I", 32473) + b"anything")
    rows, findings = frames_of(section() + interface() + custom + enhanced())
    assert [row[0] for row in rows] == [1]
    assert not findings.warnings()


def statistics(number: int, *options: tuple[int, int], stamp: int = 0, end: int = 0) -> bytes:
    values = b"".join(option(code, struct.pack("<Q", value)) for code, value in options)
    if end:
        values += option(3, struct.pack("<II", *divmod(end, 1 << 32)))
    return block(5, struct.pack("<III", number, *divmod(stamp, 1 << 32)) + values)


def test_drops_are_the_last_statistics_of_every_interface() -> None:
    data = section() + interface() + interface() + enhanced()
    data += statistics(0, (4, 100), (5, 1)) + statistics(1, (7, 30)) + statistics(0, (5, 10))
    assert reader_of(data).dropped == 40
    assert reader_of(section() + interface() + statistics(0, (4, 9))).dropped is None


@pytest.mark.parametrize("ns", [True, False])  # the unit of the interface's stamps
@pytest.mark.parametrize("by_option", [True, False])
def test_what_was_lost_may_have_come_last(ns: bool, by_option: bool) -> None:
    """dumpcap writes when it read the counters in microseconds, whatever the interface's unit."""
    own = 1000 if ns else 1
    packets = interface(options=option(9, b"\x09") if ns else b"") + enhanced(
        stamp=START * 10**6 * own
    )
    packets += enhanced(stamp=(START * 10**6 + 20) * own)
    for unit in {own, 1}:
        read_at = (START * 10**6 + 500) * unit
        stamps = {"end": read_at, "stamp": 7} if by_option else {"stamp": read_at}
        reader = reader_of(section() + packets + statistics(0, (5, 3), **stamps))
        list(reader.windows())
        start = START * 10**9
        assert reader.interfaces[0].gaps == [(start, start + 500_000, 3)]


def test_what_was_lost_lies_between_two_stamps_of_its_interface(tmp_path: Path) -> None:
    drops = option(4, struct.pack("<Q", 5))
    data = section() + interface() + interface()
    data += enhanced(stamp=START * 10**6) + enhanced(stamp=START * 10**6 + 1, number=1)
    data += enhanced(stamp=START * 10**6 + 9, options=drops)
    data += enhanced(stamp=START * 10**6 + 20, number=1) + statistics(1, (5, 7))
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)

    gaps = read([path]).batch.gaps

    start = START * 10**9
    found = {(gap.first_ns - start, gap.last_ns - start, gap.packets) for gap in gaps}
    assert found == {(0, 9_000, 5), (1_000, 20_000, 7)}
    assert len({gap.point for gap in gaps}) == 2


def test_drop_counts_of_packets_are_added() -> None:
    drops = option(4, struct.pack("<Q", 5)) + option(2, struct.pack("<I", 1))
    data = section() + interface() + enhanced(options=drops) * 2
    assert reader_of(data).dropped == 10


def test_a_file_that_wireshark_wrote_from_many_captures(tmp_path: Path) -> None:
    for name, magic in (("a", 0xA1B2C3D4), ("b", 0xA1B23C4D)):
        (tmp_path / f"{name}.pcap").write_bytes(pcap(some(200), magic=magic))
    merged = tmp_path / "merged.pcapng"
    parts = [str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap")]
    subprocess.run(["mergecap", "-w", str(merged), *parts], check=True)
    rows, findings = frames_of(merged.read_bytes())
    assert [row[:4] for row in rows] == tshark(merged)
    assert {row[4] for row in rows} == {0, 1}
    assert not findings.warnings()


def test_windows_and_short_reads_change_nothing() -> None:
    data = section() + interface() + b"".join(enhanced(UDP * (1 + n % 4)) for n in range(40))
    for window, piece in ((64, 1), (100, 13), (1000, 4096)):
        assert frames_of(data, window, piece)[0] == frames_of(data)[0]


@pytest.mark.parametrize("length", [12, 16, 20, 27])
def test_a_section_header_cut_short_is_refused(length: int) -> None:
    with pytest.raises(InputError, match="cut short"):
        frames_of(section()[:length])


def test_a_section_of_an_unknown_version_ends_the_reading() -> None:
    good = section() + interface() + enhanced()
    bad = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1))
    rows, findings = frames_of(good + bad + enhanced())
    assert len(rows) == 1
    assert kinds(findings) == {"bad-block": 1}


def test_a_last_block_cut_anywhere_costs_only_itself() -> None:
    whole = section() + interface() + enhanced() * 3
    last = len(whole) - len(enhanced())
    for length in range(last + 1, len(whole)):
        rows, findings = frames_of(whole[:length])
        assert len(rows) == 2
        assert kinds(findings) == {"truncated-record": 1}
        assert findings.warnings()[0].offset == last


@pytest.mark.parametrize("total", [0, 8, 13, 34, 0xFFFF_FFFC, 1 << 25])
def test_a_bad_block_length_ends_the_reading_and_says_what_is_lost(
    tmp_path: Path, total: int
) -> None:
    before = section() + interface() + enhanced() * 2
    data = before + struct.pack("<II", 6, total) + enhanced()[8:] + enhanced()
    rows, findings = frames_of(data, 64)
    (warning,) = findings.warnings()
    assert len(rows) == 2
    assert (warning.kind, warning.offset) == ("bad-block", len(before))
    assert f"{len(data) - len(before)} bytes were not read" in warning.message
    path = tmp_path / "bad.pcapng"
    path.write_bytes(data)
    assert len(tshark(path)) == 2


def test_block_lengths_that_disagree_end_the_reading() -> None:
    bad = bytearray(enhanced())
    bad[-4] ^= 4
    rows, findings = frames_of(section() + interface() + enhanced() + bytes(bad) + enhanced())
    assert len(rows) == 1
    assert kinds(findings) == {"bad-block": 1}


def test_a_captured_length_beyond_its_block_costs_only_that_packet() -> None:
    bad = bytearray(enhanced())
    bad[20:24] = struct.pack("<I", 0xFFFF_FFFF)
    rows, findings = frames_of(section() + interface() + enhanced() + bytes(bad) + enhanced())
    assert len(rows) == 2
    assert kinds(findings) == {"bad-block": 1}


def test_options_beyond_the_block_are_counted_and_the_packet_kept() -> None:
    bad = enhanced(options=struct.pack("<HH", 2, 400) + bytes(4))
    named = interface(options=struct.pack("<HH", 2, 400) + b"eth0")
    rows, findings = frames_of(section() + named + bad + enhanced())
    assert len(rows) == 2
    assert kinds(findings) == {"bad-options": 2}


def test_a_packet_of_an_undescribed_interface_is_kept_and_counted() -> None:
    rows, findings = frames_of(section() + interface() + enhanced(number=7) + enhanced())
    assert [row[4] for row in rows] == [-1, 0]
    assert kinds(findings) == {"undefined-interface": 1}


def test_interfaces_without_end_are_refused_before_they_fill_the_memory() -> None:
    data = section() + interface() * 65_537 + enhanced()
    rows, findings = frames_of(data)
    assert rows == []
    assert kinds(findings) == {"bad-block": 1}


def test_what_was_lost_does_not_depend_on_windows() -> None:
    at = START * 10**6
    data = section() + interface() + statistics(0, (5, 0))
    for n in range(9):
        data += enhanced(stamp=at + n) + (statistics(0, (5, n)) if n % 3 == 2 else b"")

    def gaps(window: int) -> list[tuple[int, int, int]]:
        reader = PcapngReader(Buffer(Chunks(data), window), Findings("file"))
        found = []
        for _ in reader.windows():
            found += reader.interfaces[0].gaps
            reader.interfaces[0].gaps.clear()
        return [(a - START * 10**9, b - START * 10**9, lost) for a, b, lost in found]

    assert gaps(1 << 16) == gaps(128) == [(0, 2000, 2), (2000, 5000, 3), (5000, 8000, 3)]
