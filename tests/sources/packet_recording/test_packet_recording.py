"""A pcapng recording: tshark reads its packets, tracer what was seen, and edits are noticed."""

import gzip
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.batch import ObservationBatch, concat
from tracer.core.errors import InputError
from tracer.core.point import Direction, Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, null_record
from tracer.report.pcapng.facts import fact_comments
from tracer.report.pcapng.points import interface_description, interface_name
from tracer.sources.packet_recording import blocks
from tracer.sources.packet_recording.packets import Frames, packet_blocks
from tracer.sources.packet_recording.reader import is_recording, read_packet_recording
from tracer.sources.packet_recording.writer import PacketRecordingWriter
from tracer.sources.read import read

BUFFER = 0xFFFF888000000000
START = 1_700_000_000_123_456_789
INSIDE = Point("h", "ns", "eth0", Direction.INGRESS)
DROPPED = Point("h", "ns", "eth0", hook="drop")
FRAME = bytes.fromhex(
    "020000000002 020000000001 0800"
    "4500001c 00010000 40114f9a 0a000001 0a000002"  # 10.0.0.1 > 10.0.0.2, UDP
    "04d2 162e 0008 0000"
)


def batch(rows: int, first: int = 0) -> ObservationBatch:
    packets = np.repeat(null_record(PACKET_DTYPE), rows)
    packets["time_ns"] = START + first + np.arange(rows)
    packets["point"] = np.arange(rows) % 2
    packets["capture"], packets["frame"] = 0, 1000 + np.arange(rows)
    kernel = np.repeat(null_record(SECTION_DTYPES["kernel"]), rows)
    kernel["row"], kernel["skb"] = (
        np.arange(rows),
        np.arange(rows, dtype=np.uint64) + np.uint64(BUFFER),
    )
    kernel["drop_reason"] = np.where(np.arange(rows) % 2, 2, -1)
    made = ObservationBatch(packets, points=(INSIDE, DROPPED), captures=("live:core",))
    made.sections["kernel"] = kernel
    made.labels = {"drop_reason": {2: "NO_SOCKET"}}
    return made


def frames(found: ObservationBatch, linktype: int = 1) -> Frames:
    rows = len(found)
    data = np.frombuffer(FRAME * rows, np.uint8)
    offsets = np.arange(rows + 1) * len(FRAME)
    return Frames(data, offsets, np.full(rows, linktype, np.int32), np.full(rows, 1500))


def writer(path: Path, make: Any = frames) -> PacketRecordingWriter:
    return PacketRecordingWriter(
        path,
        make,
        lambda found: fact_comments(found, "seen"),
        lambda point: (interface_name(point), interface_description(point)),
    )


def recorded(path: Path, *batches: ObservationBatch, make: Any = frames) -> Path:
    made = writer(path, make)
    for each in batches:
        made.write(each)
    made.lost, made.watched_ns = {"ring_full": 3, "map_full": 0}, START + 10**9
    made.close()
    return path


def tshark(path: Path, *fields: str) -> list[list[str]]:
    words = ["tshark", "-r", str(path), "-T", "fields", "-t", "e"]
    for field in fields:
        words += ["-e", field]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_columns_come_back_as_they_were(tmp_path: Path) -> None:
    parts = [batch(5), batch(4, 5), batch(5000, 9)]
    path = recorded(tmp_path / "r.pcapng", *parts)
    found = read_packet_recording(path)
    expected = concat(parts)
    expected.packets["frame"] = np.arange(len(expected)) + 1
    assert np.array_equal(found.batch.packets, expected.packets)
    for name, section in expected.sections.items():
        assert np.array_equal(found.batch.sections[name], section), name
    assert found.batch.points == expected.points
    assert found.batch.labels == expected.labels
    assert found.batch.watched_ns == START + 10**9
    assert found.lost == {"ring_full": 3, "map_full": 0}


def test_tshark_reads_every_packet_with_its_place_and_facts(tmp_path: Path) -> None:
    path = recorded(tmp_path / "r.pcapng", batch(3), batch(3, 3))
    wanted = ("frame.interface_name", "frame.cap_len", "frame.len", "ip.src", "udp.dstport",
              "frame.packet_flags_direction", "frame.time_epoch", "frame.comment")  # fmt: skip
    lines = tshark(path, *wanted)
    assert [line[0] for line in lines] == ["h/ns/eth0", "h/ns/eth0[drop]", "h/ns/eth0"] * 2
    assert {tuple(line[1:5]) for line in lines} == {("42", "1500", "10.0.0.1", "5678")}
    assert [int(line[5], 0) for line in lines] == [1, 0, 1, 1, 0, 1]
    assert [line[6] for line in lines] == [f"1700000000.{123456789 + n}" for n in range(6)]
    assert lines[1][7] == "hook drop; drop reason NO_SOCKET; skb ffff888000000001; seen"
    assert lines[0][7] == "skb ffff888000000000; seen"
    statistics = subprocess.run(["capinfos", path], capture_output=True, text=True, check=True)
    assert "Number of stat entries = 1" in statistics.stdout


def test_offline_reads_it_with_provenance_and_losses(tmp_path: Path) -> None:
    path = recorded(tmp_path / "r.pcapng", batch(4))
    result = read([path])
    assert (result.lost, result.warnings) == ({"ring_full": 3, "map_full": 0}, ())
    assert [(c.kind, c.packets) for c in result.captures] == [("recording", 4)]
    assert result.batch.captures == (str(path),)
    assert result.batch.packets["frame"].tolist() == [1, 2, 3, 4]
    assert set(result.batch.points) == {INSIDE, DROPPED}


def test_a_changed_cut_or_compressed_file_is_read_as_packets_and_that_is_said(
    tmp_path: Path,
) -> None:
    whole = recorded(tmp_path / "r.pcapng", batch(6)).read_bytes()
    edited, cut, packed = (tmp_path / name for name in ("e.pcapng", "c.pcapng", "p.pcapng.gz"))
    words = ["editcap", "-F", "pcapng", str(tmp_path / "r.pcapng"), str(edited), "2"]
    subprocess.run(words, check=True, capture_output=True)
    cut.write_bytes(whole[: len(whole) - int.from_bytes(whole[-4:], "little")])
    packed.write_bytes(gzip.compress(whole))
    for path, packets in ((edited, 5), (cut, 6), (packed, 6)):
        result = read([path])
        assert len(result.batch) == packets
        assert set(result.batch.packets["dport"].tolist()) == {5678}
        assert {p.hook for p in result.batch.points} == {None, "drop"}
        if path != edited:  # another tool names itself
            assert [w.kind for w in result.warnings] == ["incomplete-recording"]
    assert not is_recording(str(cut))


def test_packets_without_bytes_are_in_the_columns_alone(tmp_path: Path) -> None:
    def some(found: ObservationBatch) -> Frames:
        made = frames(found)
        made.linktypes[1] = -1
        return made

    path = recorded(tmp_path / "r.pcapng", batch(3), make=some)
    assert len(tshark(path, "frame.number")) == 2
    assert read_packet_recording(path).batch.packets["frame"].tolist() == [1, -1, 2]


def test_an_empty_one_is_one(tmp_path: Path) -> None:
    path = recorded(tmp_path / "r.pcapng")
    assert is_recording(str(path))
    assert len(read_packet_recording(path).batch) == 0


def test_damaged_columns_are_told(tmp_path: Path) -> None:
    path = recorded(tmp_path / "r.pcapng", batch(6))
    data = bytearray(path.read_bytes())
    at = data.index(blocks.MAGIC) + 40
    data[at : at + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged"):
        read_packet_recording(path)


def test_a_newer_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.sources.packet_recording.writer.VERSION", 99)
    path = recorded(tmp_path / "r.pcapng", batch(1))
    with pytest.raises(InputError, match="newer tracer"):
        read_packet_recording(path)


def test_a_folder_that_does_not_exist_and_a_full_disk_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        writer(tmp_path / "none" / "r.pcapng")
    full = writer(Path("/dev/full"))
    with pytest.raises(InputError, match="/dev/full cannot be written: No space left"):
        full.write(batch(5000))
    full.close()


@given(
    st.lists(
        st.tuples(st.binary(max_size=9), st.text(max_size=9), st.integers(0, 2**62)), max_size=9
    )
)
def test_blocks_are_what_was_given(packets: list[tuple[bytes, str, int]]) -> None:
    texts = [text.encode() for _, text, _ in packets]
    made = packet_blocks(
        Frames(
            np.frombuffer(b"".join(data for data, _, _ in packets), np.uint8),
            np.cumsum([0, *(len(data) for data, _, _ in packets)]),
            np.ones(len(packets), np.int32),
            np.full(len(packets), 77),
        ),
        np.arange(len(packets)),
        np.array([time for *_, time in packets], np.int64),
        np.full(len(packets), 1),
        (np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])),
    )
    assert made == b"".join(
        _block(number, time, data, text.encode())
        for number, (data, text, time) in enumerate(packets)
    )


def _block(number: int, time: int, data: bytes, text: bytes) -> bytes:
    # By the draft's figure of the Enhanced Packet Block, field by field.
    def padded(value: bytes) -> bytes:
        return value + bytes(-len(value) % 4)

    words = (number, time >> 32, time & 0xFFFFFFFF, len(data), 77)
    body = b"".join(word.to_bytes(4, "little") for word in words) + padded(data)
    body += (1).to_bytes(2, "little") + len(text).to_bytes(2, "little") + padded(text)
    body += bytes([2, 0, 4, 0, 2, 0, 0, 0]) + bytes(4)
    total = (len(body) + 12).to_bytes(4, "little")
    return (6).to_bytes(4, "little") + total + body + total
