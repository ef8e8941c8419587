"""SACK blocks tell TCP headers apart, other options do not; tshark is the oracle."""

import subprocess
from pathlib import Path
from random import Random

import pytest
from decoding import decoded, value
from packets import write_pcap
from scapy.all import IP, TCP, Ether, Raw

FRAME = Ether(src="fa:16:3e:00:00:0a", dst="fa:16:3e:00:00:0b") / IP(src="10.0.0.1", dst="10.0.0.2")
STAMPS = ("Timestamp", (11, 12))
NOP = ("NOP", None)
FIELDS = ("tcp.options.sack_le", "tcp.options.sack_re", "tcp.options.timestamp.tsval")


def packet(*options: object) -> bytes:
    return bytes(FRAME / TCP(sport=4, dport=5, flags="A", options=list(options)))


def sack_of(frame: bytes, captured: int | None = None) -> int | None:
    cut = frame[:captured]
    return value(decoded([cut], wire=[len(frame)]), 0, "tcp_sack")


def test_rows_are_alike_where_tshark_shows_the_same_blocks(tmp_path: Path) -> None:
    pick = Random(5)
    frames = []
    for _ in range(200):
        edges = [pick.randrange(4) for _ in range(2 * pick.randrange(4))]
        parts = [[NOP, NOP, STAMPS]] if pick.random() < 0.5 else []
        parts += [[NOP, NOP, ("SAck", tuple(edges))]] if edges else []
        pick.shuffle(parts)
        frames.append(packet(*(option for part in parts for option in part)))
    path = tmp_path / "sack.pcap"
    write_pcap(path, 1, frames)
    command = ["tshark", "-n", "-o", "tcp.relative_sequence_numbers:FALSE", "-r", str(path), "-T",
               "fields", *(word for name in FIELDS for word in ("-e", name))]  # fmt: skip
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = [tuple(line.split("\t")) for line in shown.splitlines()]
    ours = decoded(frames)
    blocks = [line[:2] for line in theirs]
    digests = ours.packets["tcp_sack"].tolist()
    assert len(set(blocks)) > 20
    assert len(set(zip(blocks, digests, strict=True))) == len(set(blocks)) == len(set(digests))
    assert {d for b, d in zip(blocks, digests, strict=True) if b == ("", "")} == {1}
    stamps = [line[2] == "11" for line in theirs]
    assert (ours.packets["tcp_tsval"] == 11).tolist() == stamps


def test_other_options_do_not_count() -> None:
    syn = [packet(("MSS", mss), ("SAckOK", b""), STAMPS, ("WScale", 7)) for mss in (1460, 1380)]
    assert [sack_of(frame) for frame in syn] == [1, 1]
    assert sack_of(bytes(FRAME / TCP())) == 1


def test_blocks_that_were_not_captured_are_unknown() -> None:
    frame = packet(NOP, NOP, STAMPS, NOP, NOP, ("SAck", (100, 200))) + bytes(20)
    end = 14 + 20 + 20 + 24
    known = sack_of(frame)
    assert known not in (None, 1)
    assert {sack_of(frame, cut) for cut in range(end, len(frame) + 1)} == {known}
    assert {sack_of(frame, cut) for cut in range(54, end)} == {None}


@pytest.mark.parametrize("payload", [b"", b"data"])
def test_a_header_that_makes_no_sense_has_none(payload: bytes) -> None:
    assert sack_of(bytes(FRAME / TCP(dataofs=2) / Raw(payload))) == 1


def test_blocks_are_the_same_where_all_numbers_are_shifted() -> None:
    def shown(ack: int, *edges: int) -> int | None:
        sack = ("SAck", tuple(edge & 0xFFFFFFFF for edge in edges))
        return sack_of(bytes(FRAME / TCP(flags="A", ack=ack & 0xFFFFFFFF, options=[sack])))

    known = shown(1000, 2000, 3000)
    assert {shown(1000 + by, 2000 + by, 3000 + by) for by in (7, 1 << 31, (1 << 32) - 2500)} == {
        known
    }
    assert known not in {shown(1000, 2000, 3001), shown(1001, 2000, 3000)}
