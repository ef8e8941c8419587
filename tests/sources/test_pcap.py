"""pcap files of every kind against tshark, and every way in which they are damaged."""

import struct
from pathlib import Path

import pytest

from sources.files import (
    START,
    UDP,
    Chunks,
    Packet,
    frames_of,
    kinds,
    pcap,
    pcap_header,
    record,
    some,
    tshark,
)
from tracer.core.errors import InputError
from tracer.sources.findings import Findings
from tracer.sources.pcap import PcapReader
from tracer.sources.stream import Buffer

MAGICS = {"µs": (0xA1B2C3D4, 1000), "ns": (0xA1B23C4D, 1), "modified": (0xA1B2CD34, 1000)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", MAGICS)
def test_every_magic_in_both_byte_orders_is_read_as_tshark_reads_it(
    tmp_path: Path, kind: str, order: str
) -> None:
    magic, scale = MAGICS[kind]
    # struct pcap_sf_patched_pkthdr: ifindex, protocol, packet type, padding
    extra = struct.pack(order + "IHBB", 3, 0x800, 4, 0) if kind == "modified" else b""
    packets = [Packet(UDP + bytes(n), START + n, n * 7, 2000 + n) for n in range(40)]
    data = pcap_header(magic, order) + b"".join(record(p, order, extra) for p in packets)
    path = tmp_path / "x.pcap"
    path.write_bytes(data)

    rows, findings = frames_of(data)

    assert not findings.warnings()
    assert [row[:4] for row in rows] == tshark(path)
    assert [row[1] for row in rows] == [p.seconds * 10**9 + p.fraction * scale for p in packets]
    assert [row[6] for row in rows] == [p.data for p in packets]
    assert {row[5] for row in rows} == ({1} if kind == "modified" else {-1})


@pytest.mark.parametrize("order", ["<", ">"])
def test_files_that_cat_joined_are_read_as_each_alone(tmp_path: Path, order: str) -> None:
    parts = [pcap(some(n), order, snaplen=100 + n) for n in (3, 0, 4)]
    alone = []
    for part in parts:
        (tmp_path / "part.pcap").write_bytes(part)
        alone += tshark(tmp_path / "part.pcap")
    for size in (64, 1 << 16):
        rows, findings = frames_of(b"".join(parts), size)
        assert [row[:4] for row in rows] == [(n + 1, *row[1:4]) for n, row in enumerate(alone)]
        (warning,) = findings.warnings()
        assert (warning.kind, warning.count, warning.offset) == ("joined-files", 2, len(parts[0]))


@pytest.mark.parametrize(
    "other",
    [
        pcap(some(2), ">"),
        pcap(some(2), linktype=113),
        pcap(some(2), magic=0xA1B23C4D),
    ],
    ids=["order", "link-type", "resolution"],
)
def test_a_file_of_another_kind_behind_one_is_told_and_no_packet(other: bytes) -> None:
    first = pcap(some(3))
    rows, findings = frames_of(first + other)
    assert len(rows) == 3
    (warning,) = findings.warnings()
    assert (warning.kind, warning.offset) == ("joined-files", len(first))
    assert f"{len(other)} bytes were not read: join the files with mergecap" in warning.message


def test_seconds_are_unsigned() -> None:
    rows, _ = frames_of(pcap([Packet(seconds=0xFFFF_FFFF, fraction=999_999)]))
    assert rows[0][1] == 4_294_967_295_999_999_000


def test_bits_about_frame_check_sequences_are_no_part_of_the_link_type() -> None:
    reader = PcapReader(Buffer(Chunks(pcap_header(linktype=0x2400_0071))), Findings(None))
    assert reader.interfaces[0].linktype == 0x71


@pytest.mark.parametrize("window", [64, 100, 1000])
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_windows_and_short_reads_change_nothing(window: int, piece: int) -> None:
    data = pcap([Packet(UDP * (1 + n % 5), START + n) for n in range(50)])
    assert frames_of(data, window, piece)[0] == frames_of(data)[0]


def test_more_packets_than_a_window_holds_are_numbered_through() -> None:
    rows, findings = frames_of(pcap(some(70_000, 1)), 1 << 22)
    assert [row[0] for row in rows] == list(range(1, 70_001))
    assert not findings.warnings()


def test_a_header_alone_holds_no_packets() -> None:
    rows, findings = frames_of(pcap([]))
    assert rows == []
    assert not findings.warnings()


@pytest.mark.parametrize("length", range(4, 24))
def test_a_header_cut_short_is_refused(length: int) -> None:
    with pytest.raises(InputError, match="cut short"):
        frames_of(pcap([])[:length])


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(InputError, match=r"version 543\.4"):
        frames_of(struct.pack("<IHHiIII", 0xA1B2C3D4, 543, 4, 0, 0, 65535, 1))


def test_a_last_record_cut_anywhere_costs_only_itself(tmp_path: Path) -> None:
    whole = pcap(some(3))
    expected = frames_of(whole)[0][:2]
    last = len(whole) - len(record(some(1)[0]))
    for length in range(last + 1, len(whole)):
        rows, findings = frames_of(whole[:length])
        assert rows == expected
        assert kinds(findings) == {"truncated-record": 1}
        assert findings.warnings()[0].offset == last
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[: last + 20])
    assert len(tshark(path)) == 2


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x8000_0000, 262_145])
def test_an_impossible_length_ends_the_reading_and_says_what_is_lost(
    tmp_path: Path, length: int
) -> None:
    before, after = pcap(some(3)), record(Packet()) * 2
    data = before + struct.pack("<IIII", START, 0, length, length) + after
    rows, findings = frames_of(data, 64)
    (warning,) = findings.warnings()
    assert rows == frames_of(before)[0]
    assert (warning.kind, warning.offset) == ("bad-record-length", len(before))
    assert f"{len(data) - len(before)} bytes were not read" in warning.message
    path = tmp_path / "bad.pcap"
    path.write_bytes(data)
    assert len(tshark(path)) == 3


def test_a_record_beyond_the_snaplen_is_kept_and_counted(tmp_path: Path) -> None:
    data = pcap([Packet(), Packet(UDP + bytes(100)), Packet()], snaplen=60)
    path = tmp_path / "snap.pcap"
    path.write_bytes(data)
    rows, findings = frames_of(data)
    assert [row[:4] for row in rows] == tshark(path)
    assert kinds(findings) == {"beyond-snaplen": 1}
    assert findings.warnings()[0].offset == 24 + len(record(Packet()))


def test_a_snaplen_that_allows_more_than_the_usual_bound_is_believed() -> None:
    big = Packet(bytes(300_000))
    rows, findings = frames_of(pcap([big, Packet()], snaplen=1 << 20), 1000)
    assert [row[2] for row in rows] == [300_000, len(UDP)]
    assert not findings.warnings()


def test_records_without_bytes_are_packets_and_counted() -> None:
    rows, findings = frames_of(pcap([Packet(b"", wire_len=60), Packet(), Packet(b"")]))
    assert [(row[2], row[3]) for row in rows] == [(0, 60), (len(UDP), len(UDP)), (0, 0)]
    assert kinds(findings) == {"zero-length-record": 2}


def test_a_fraction_of_a_second_or_more_is_added_and_counted() -> None:
    rows, findings = frames_of(pcap([Packet(fraction=3_000_000), Packet(fraction=999_999)]))
    assert rows[0][1] == (START + 3) * 10**9
    assert kinds(findings) == {"bad-timestamp": 1}
