"""Inputs of every kind to batches: names, points, warnings, bounds."""

import itertools
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sources.files import (
    START,
    UDP,
    Packet,
    block,
    enhanced,
    interface,
    option,
    pcap,
    section,
    some,
    tshark,
)
from tracer.core.errors import InputError
from tracer.core.point import Direction
from tracer.sources.read import Reading, ReadResult, read
from tracer.sources.recording import RecordingWriter

TEXT = (
    "10:00:00.000001 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 64\n"
    "10:00:00.000201 IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id 7, seq 1, length 64\n"
)


def warned(result: ReadResult) -> dict[tuple[str, str | None], int]:
    return {(w.kind, w.capture): w.count for w in result.warnings}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_every_packet_is_a_row_that_says_where_it_comes_from(tmp_path: Path) -> None:
    write(tmp_path / "a-eth0.pcap", pcap(some(3)))
    write(tmp_path / "b-eth1.pcap", pcap(some(4)))
    result = read([tmp_path])
    packets = result.batch.packets
    assert result.batch.captures == ("a-eth0.pcap", "b-eth1.pcap")
    assert packets["capture"].tolist() == [0] * 3 + [1] * 4
    assert packets["frame"].tolist() == [1, 2, 3, 1, 2, 3, 4]
    assert [p.device for p in result.batch.points] == ["eth0", "eth1"]
    assert packets["point"].tolist() == [0] * 3 + [1] * 4
    assert [(c.kind, c.packets, c.dropped) for c in result.captures] == [
        ("pcap", 3, None),
        ("pcap", 4, None),
    ]
    assert result.warnings == ()


def test_columns_of_the_container_are_tsharks(captures: Path) -> None:
    path = captures / "snat-centralized" / "snat-centralized.pcapng"
    packets = read([path]).batch.packets
    names = ["frame", "time_ns", "cap_len", "wire_len"]
    assert packets[names].tolist() == tshark(path)


def test_interfaces_and_directions_of_a_pcapng_are_points(tmp_path: Path) -> None:
    flags = [option(2, bytes([way, 0, 0, 0])) for way in (1, 2)]
    drops = block(5, bytes(12) + option(5, (9).to_bytes(8, "little")))
    data = section() + interface(options=option(2, b"tap1")) + interface(options=option(2, b"qr1"))
    data += enhanced(options=flags[0]) + enhanced(number=1, options=flags[1])
    data += enhanced(options=flags[1]) + enhanced(number=1, options=flags[1]) + drops
    result = read([write(tmp_path / "x.pcapng", data)])
    points = [(p.device, p.direction) for p in result.batch.points]
    assert points == [
        ("tap1", Direction.INGRESS),
        ("qr1", Direction.EGRESS),
        ("tap1", Direction.EGRESS),
    ]
    assert result.batch.packets["point"].tolist() == [0, 1, 2, 1]
    assert result.captures[0].dropped == 9


def test_two_captures_of_one_device_are_one_point(tmp_path: Path) -> None:
    write(tmp_path / "1-eth0.pcap", pcap(some(3)))
    write(tmp_path / "2-eth0.pcap", pcap(some(4)))
    assert len(read([tmp_path]).batch.points) == 1


def test_text_and_packets_come_in_the_order_given(tmp_path: Path) -> None:
    text = tmp_path / "b-eth0.txt"
    text.write_text(TEXT)
    paths = [
        write(tmp_path / "a-eth1.pcap", pcap(some(3))),
        text,
        write(tmp_path / "c-eth2.pcap", pcap(some(2))),
    ]
    result = read(paths)
    packets = result.batch.packets
    assert packets["capture"].tolist() == [0] * 3 + [1] * 2 + [2] * 2
    devices = [result.batch.points[p].device for p in packets["point"]]
    assert devices == ["eth1"] * 3 + ["eth0"] * 2 + ["eth2"] * 2
    assert packets["icmp_id"].tolist() == [-1] * 3 + [7] * 2 + [-1] * 2
    assert [c.kind for c in result.captures] == ["pcap", "tcpdump-text", "pcap"]


def test_a_text_without_a_device_is_called_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "pasted.txt").write_text(TEXT)
    (point,) = read([tmp_path]).batch.points
    assert (point.device, point.name) == (None, "pasted")


def test_a_recording_is_read_back(tmp_path: Path) -> None:
    whole = read([write(tmp_path / "a-eth0.pcap", pcap(some(5)))]).batch
    with RecordingWriter(tmp_path / "r.parquet") as writer:
        writer.write(whole)
        writer.lost = {"ring_full": 3}
    result = read([tmp_path / "r.parquet"])
    assert (result.batch.packets == whole.packets).all()
    assert result.batch.points == whole.points
    assert (result.lost, result.captures[0].kind) == ({"ring_full": 3}, "recording")


def test_standard_input_is_read(tmp_path: Path) -> None:
    script = (
        "import sys; from tracer.sources.read import read\n"
        "r = read(['-']); sys.stdout.write(f'{len(r.batch)} {r.batch.captures} {r.warnings}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=pcap(some(5)), capture_output=True, check=True
    )
    assert done.stdout.decode() == "5 ('-',) ()"


def test_a_fifo_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(pcap(some(5000)),))
    writer.start()
    assert len(read([path]).batch) == 5000
    writer.join()


def test_the_same_file_is_read_once(tmp_path: Path) -> None:
    one = write(tmp_path / "a.pcap", pcap(some(3)))
    copy = write(tmp_path / "copy.pcap", pcap(some(3)))
    link = tmp_path / "link.pcap"
    link.symlink_to(one)
    other = write(tmp_path / "other.pcap", pcap([Packet(seconds=START + 9)] * 3))
    result = read([one, one, copy, link, other])
    assert len(result.batch) == 6
    assert warned(result) == {("same-file", str(name)): 1 for name in (one, copy, link)}


def test_equal_captures_without_packets_are_not_called_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a-eth0.pcap", pcap([]))
    write(tmp_path / "b-eth1.pcap", pcap([]))
    result = read([tmp_path])
    assert len(result.batch) == 0
    assert warned(result) == {("no-packets", "a-eth0.pcap"): 1, ("no-packets", "b-eth1.pcap"): 1}


def test_an_unusable_input_among_others_is_told_and_alone_is_an_error(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.pcap", b"nothing")
    good = write(tmp_path / "good.pcap", pcap(some(3)))
    result = read([bad, good])
    assert len(result.batch) == 3
    assert warned(result) == {("unusable", str(bad)): 1}
    with pytest.raises(InputError, match=r"bad\.pcap is not a capture"):
        read([bad])


def test_damage_is_told_with_file_and_place(tmp_path: Path) -> None:
    data = pcap(some(3))
    path = write(tmp_path / "cut.pcap", data[:-1])
    (warning,) = read([path]).warnings
    assert (warning.kind, warning.capture) == ("truncated-record", str(path))
    assert warning.offset == len(data) - 16 - len(UDP)


def test_packets_of_an_unknown_link_type_are_rows_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", pcap(some(3), linktype=147))
    result = read([path])
    assert len(result.batch) == 3
    assert warned(result) == {("unknown-linktype", str(path)): 3}


def test_packets_of_undescribed_interfaces_are_rows_of_their_own_point(tmp_path: Path) -> None:
    first = write(tmp_path / "a.pcapng", section() + interface() + enhanced() + enhanced(number=5))
    other = write(tmp_path / "b.pcapng", section() + interface() + enhanced(number=5, stamp=1))
    result = read([first, other])
    points = [result.batch.points[p].name for p in result.batch.packets["point"]]
    assert points == ["a", "a#?", "b#?"]


def test_reading_stops_at_the_limit_and_says_so(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.pcap", pcap(some(n))) for n in (100, 50)]
    result = read(paths, limit=70)
    assert len(result.batch) == 70
    assert warned(result) == {("memory-limit", str(p)): 1 for p in paths}
    assert result.batch.packets["frame"].tolist() == list(range(1, 71))


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_batches_hold_no_more_than_asked_and_together_everything(tmp_path: Path, rows: int) -> None:
    write(tmp_path / "a-eth0.pcap", pcap(some(20)))
    write(tmp_path / "b-eth1.pcapng", section() + interface() + enhanced() * 9)
    (tmp_path / "c-eth2.txt").write_text(TEXT)
    whole = read([tmp_path]).batch
    batches = list(Reading([tmp_path], rows=rows).batches())
    assert max(len(batch) for batch in batches) <= rows
    assert all(len(set(batch.packets["capture"])) == 1 for batch in batches)
    for earlier, later in itertools.pairwise(batches):
        assert later.points[: len(earlier.points)] == earlier.points
    packets = np.concatenate([batch.packets for batch in batches])
    assert (packets == whole.packets).all()
    assert batches[-1].points == whole.points


def test_progress_ends_with_all_bytes(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.pcap", pcap(some(n))) for n in (100, 50)]
    steps: list[tuple[int, int | None]] = []
    reading = Reading(paths, progress=lambda done, total: steps.append((done, total)))
    assert sum(len(batch) for batch in reading.batches()) == 150
    size = sum(path.stat().st_size for path in paths)
    assert steps[-1] == (size, size)
    assert [info.size for info in reading.captures] == [p.stat().st_size for p in paths]


def cooked(kind: int, newer: bool) -> bytes:
    """A packet of `any`: to this host (0) or from it (4), at interface 7 where the format says."""
    mac = bytes.fromhex("fa163ea4588d0000")
    if newer:
        return struct.pack("!HHIHBB", 0x0800, 0, 7, 1, kind, 6) + mac + UDP[14:]
    return struct.pack("!HHH", kind, 1, 6) + mac + struct.pack("!H", 0x0800) + UDP[14:]


@pytest.mark.parametrize("name", ["node1-any.pcap", "node1.pcap"])
def test_a_capture_on_any_is_several_devices_that_it_may_name(tmp_path: Path, name: str) -> None:
    for folder, linktype, newer in (("old", 113, False), ("new", 276, True)):
        (tmp_path / folder).mkdir()
        packets = [Packet(cooked(kind, newer), START + kind) for kind in (0, 4)]
        write(tmp_path / folder / name, pcap(packets, linktype=linktype))
    old, new = (read([tmp_path / folder]).batch.points for folder in ("old", "new"))
    ways = [Direction.INGRESS, Direction.EGRESS]
    assert [(p.device, p.direction, p.several) for p in old] == [(None, way, True) for way in ways]
    assert {p.name for p in old} == {name.removesuffix(".pcap")}
    assert [(p.device, p.direction, p.several) for p in new] == [("if7", w, False) for w in ways]


def test_a_cooked_capture_of_one_device_is_that_device(tmp_path: Path) -> None:
    write(tmp_path / "router1-eth0.pcap", pcap([Packet(cooked(0, False))], linktype=113))
    (point,) = read([tmp_path]).batch.points
    assert (point.host, point.device, point.several) == ("router1", "eth0", False)


def test_any_is_no_device_whoever_says_so(tmp_path: Path) -> None:
    write(tmp_path / "x.pcap", pcap([Packet(cooked(0, False))], linktype=113))
    write(tmp_path / "points.toml", b'[[point]]\nfile = "x.pcap"\nhost = "h"\ndevice = "any"\n')
    (point,) = read([tmp_path]).batch.points
    assert (point.host, point.device, point.name, point.several) == ("h", None, "x", True)


def test_an_entry_for_an_interface_that_is_not_there_is_told(tmp_path: Path) -> None:
    # As mergecap writes it, which makes one of interfaces that are alike.
    one = section() + interface() + enhanced()
    (tmp_path / "all.pcapng").write_bytes(one)
    entry = '[[point]]\nfile = "all.pcapng"\ninterface = {}\nhost = "r{}"\n'
    (tmp_path / "points.toml").write_text("".join(entry.format(n, n) for n in range(3)))
    result = read([tmp_path])
    assert warned(result) == {("missing-interface", "all.pcapng"): 2}
    (warning,) = result.warnings
    assert "speaks of interface 1, but it has only interface 0" in warning.message


def test_an_entry_for_a_device_of_which_there_is_no_packet_is_told(tmp_path: Path) -> None:
    packets = [Packet(cooked(0, True), START), Packet(cooked(4, True), START + 1)]
    write(tmp_path / "any.pcap", pcap(packets, linktype=276))
    write(tmp_path / "eth0.pcap", pcap(some(2)))
    write(tmp_path / "shown.txt", TEXT.encode())
    write(tmp_path / "none.pcap", pcap([], linktype=276))
    entry = '[[point]]\nfile = "{}"\nifindex = {}\ndevice = "d{}"\n'
    said = [("any.pcap", 7), ("any.pcap", 8), ("any.pcap", 9), ("eth0.pcap", 2), ("shown.txt", 3)]
    text = "".join(entry.format(name, n, n) for name, n in said)
    (tmp_path / "points.toml").write_text(text)
    for rows in (None, 1):
        reading = Reading([tmp_path], rows=rows)
        list(reading.batches())
        found = {(w.kind, w.capture): (w.count, w.message) for w in reading.warnings}
        assert found.pop(("no-packets", "none.pcap"))
        assert found.pop(("date-unknown", "shown.txt"))
        assert found == {
            ("missing-ifindex", name): (
                count,
                f"points.toml speaks of ifindex {number}, which no packet in it has",
            )
            for name, count, number in (
                ("any.pcap", 2, 8),
                ("eth0.pcap", 1, 2),
                ("shown.txt", 1, 3),
            )
        }


def test_an_entry_for_an_interface_of_a_text_is_told(tmp_path: Path) -> None:
    write(tmp_path / "shown.txt", TEXT.encode())
    text = '[[point]]\nfile = "shown.txt"\ninterface = 2\ndevice = "eth0"\n'
    (tmp_path / "points.toml").write_text(text)
    assert warned(read([tmp_path]))["missing-interface", "shown.txt"] == 1


def test_an_entry_for_a_recording_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.pcap", pcap(some(3)))
    with RecordingWriter(tmp_path / "r.parquet") as writer:
        writer.write(read([tmp_path / "a.pcap"]).batch)
    result = read([], points={"h/eth9": str(tmp_path / "r.parquet")})
    assert warned(result) == {("unused-point", str(tmp_path / "r.parquet")): 1}
