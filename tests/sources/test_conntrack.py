"""Conntrack dumps in every form the tools print; the texts are conntrack v1.4.7's own."""

import gzip
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.core.errors import InputError
from tracer.sources.conntrack import (
    conntrack_files,
    read_conntrack,
    read_conntrack_folder,
    scope_of,
)

TCP = ConntrackEntry(
    Tuple("10.9.0.1", "10.9.0.99", 6, 53788, 80),
    Tuple("10.9.0.1", "10.9.0.1", 6, 8080, 53788),
    status=("ASSURED",), state="TIME_WAIT", mark=0, timeout_s=119,
)  # fmt: skip
TCP_TEXT = (
    "tcp      6 119 TIME_WAIT src=10.9.0.1 dst=10.9.0.99 sport=53788 dport=80 packets=5 bytes=269 "
    "src=10.9.0.1 dst=10.9.0.1 sport=8080 dport=53788 packets=3 bytes=164 [ASSURED] mark=0 use=1"
)
PING = ConntrackEntry(
    Tuple("192.168.3.69", "100.121.0.75", 1, icmp_id=22344, icmp_type=8, icmp_code=0),
    Tuple("100.121.0.75", "100.122.0.145", 1, icmp_id=36215, icmp_type=0, icmp_code=0),
    mark=0, timeout_s=29,
)  # fmt: skip
PING_TEXT = (
    "icmp     1 29 src=192.168.3.69 dst=100.121.0.75 type=8 code=0 id=22344 "
    "src=100.121.0.75 dst=100.122.0.145 type=0 code=0 id=36215 mark=0 use=1"
)
UDP_TEXT = (
    "udp      17 29 src=10.9.0.1 dst=10.9.0.2 sport=48189 dport=53 [UNREPLIED] "
    "src=10.9.0.2 dst=10.9.0.1 sport=53 dport=48189 mark=0 use=1"
)
XML = (
    '<flow type="new"><meta direction="original"><layer3 protonum="2" protoname="ipv4">'
    "<src>10.9.0.1</src><dst>10.9.0.99</dst></layer3>"
    '<layer4 protonum="6" protoname="tcp"><sport>53788</sport><dport>80</dport></layer4></meta>'
    '<meta direction="reply"><layer3 protonum="2" protoname="ipv4"><src>10.9.0.1</src>'
    "<dst>10.9.0.1</dst></layer3>"
    '<layer4 protonum="6" protoname="tcp"><sport>8080</sport><dport>53788</dport></layer4></meta>'
    '<meta direction="independent"><state>TIME_WAIT</state><timeout>119</timeout><mark>0</mark>'
    "<use>1</use><id>1371549442</id><assured/><deltatime>1</deltatime></meta></flow>"
)


def one(text: str) -> ConntrackEntry:
    entries, warnings = read_conntrack(text.encode())
    assert warnings == []
    assert len(entries) == 1
    return entries[0]


def test_plain_lines() -> None:
    assert one(TCP_TEXT) == TCP
    assert one(PING_TEXT) == PING
    udp = one(UDP_TEXT)
    assert (udp.status, udp.original.reversed(), udp.state) == (("UNREPLIED",), udp.reply, None)


def test_family_id_and_proc_forms() -> None:
    assert one("ipv4     2 " + TCP_TEXT) == TCP
    assert one(TCP_TEXT + " id=1371549442") == replace(TCP, ct_id=1371549442)
    assert one(PING_TEXT + " id=3259189652") == replace(PING, ct_id=3259189652)
    proc = TCP_TEXT.replace("mark=0 use=1", "mark=0x10 zone=7 delta-time=3 use=2")
    assert one("ipv4     2 " + proc) == replace(TCP, mark=16, zone=7)
    six = (
        "ipv6     10 icmpv6   58 29 src=fd00:0000:0000:0000:0000:0000:0000:0001 dst=fd00::2 "
        "type=128 code=0 id=26553 src=fd00::2 dst=fd00::1 type=129 code=0 id=26553 mark=0 use=2"
    )
    assert one(six).original == Tuple("fd00::1", "fd00::2", 58, None, None, 26553, 128, 0)


def test_gre_in_proc_has_timeouts_before_its_tuples() -> None:
    line = (
        "ipv4     2 gre      47 178 timeout=30, stream_timeout=180 src=10.9.5.1 dst=10.9.5.2 "
        "srckey=0x0 dstkey=0x0 src=10.9.5.2 dst=10.9.5.1 srckey=0x0 dstkey=0x0 [ASSURED] mark=0 "
        "zone=0 use=2"
    )
    entry = one(line)
    assert (entry.original, entry.reply) == (
        Tuple("10.9.5.1", "10.9.5.2", 47), Tuple("10.9.5.2", "10.9.5.1", 47)
    )  # fmt: skip
    assert (entry.timeout_s, entry.status) == (178, ("ASSURED",))


def test_zones_and_offloaded_entries() -> None:
    zoned = one(TCP_TEXT.replace("mark=0", "mark=0 zone-orig=5"))
    assert (zoned.zone, zoned.zone_reply) == (5, 0)
    zoned = one(TCP_TEXT.replace("[ASSURED]", "[ASSURED] zone-reply=6"))
    assert (zoned.zone, zoned.zone_reply) == (0, 6)
    offloaded = one(TCP_TEXT.replace("119 TIME_WAIT ", "").replace("[ASSURED]", "[HW_OFFLOAD]"))
    assert (offloaded.timeout_s, offloaded.state) == (None, None)
    assert offloaded.status == ("HW_OFFLOAD",)


@pytest.mark.parametrize("event", ["NEW", "UPDATE", "DESTROY"])
def test_event_logs(event: str) -> None:
    line = f"[1795417361.613578]\t    [{event}] ipv4     2 {TCP_TEXT} id=5 [USERSPACE] portid=26606"
    wanted = replace(TCP, event=event, ct_id=5, time_ns=1_795_417_361_613_578_000)
    assert one(line) == wanted
    assert one(f"    [{event}] {TCP_TEXT}") == replace(TCP, event=event)
    assert one(f"[{event}] {TCP_TEXT.replace('119 TIME_WAIT ', '')}").timeout_s is None


def test_xml() -> None:
    assert one(XML) == replace(TCP, event="NEW", ct_id=1371549442)
    dump = XML.replace(' type="new"', "")
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n{dump}\n</conntrack>\n'
    assert one(text) == replace(TCP, ct_id=1371549442)
    assert one(XML + " [USERSPACE] portid=26606").event == "NEW"
    ping = XML.replace('protonum="6" protoname="tcp"', 'protonum="1" protoname="icmp"')
    entries, warnings = read_conntrack(ping.encode())
    assert entries[0].original.icmp_id is None
    assert [(w.kind, w.count) for w in warnings] == [("icmp-id-absent", 1)]


def test_noise_is_silent_and_damage_is_counted() -> None:
    text = (
        "root@compute03:~# conntrack -L\n\n" + TCP_TEXT + "\ntcp 6 119 src=10.9.0.1\n"
        "tcp 6 1 X src=999.0.0.1 dst=1.1.1.1 src=1.1.1.1 dst=9.9.9.9\n"
        "conntrack v1.4.7 (conntrack-tools): 4 flow entries have been shown.\n<flow>cut off"
    )
    entries, warnings = read_conntrack(text.encode())
    assert entries == [TCP]
    assert [(w.kind, w.count, w.offset) for w in warnings] == [
        ("unparsed-line", 3, text.index("tcp 6 119 src"))
    ]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 400), st.integers(0, 400), st.binary(max_size=10))
def test_damaged_bytes_never_fail(start: int, length: int, noise: bytes) -> None:
    stamps = "[start=Thu Nov 26 14:55:54 2026] [stop=Thu Nov 26 14:56:24 2026] id=7"
    data = "\n".join((f"{TCP_TEXT} {stamps}", PING_TEXT, XML)).encode()
    read_conntrack(data[:start] + noise + data[start + length :])


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("conntrack.txt", (None, None)),
        ("conntrack-qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d.txt",
         (None, "qrouter-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d")),
        ("compute03-conntrack-fip-e7cb8424-51e4-429a-8020-76e651877db3.xml.gz",
         ("compute03", "fip-e7cb8424-51e4-429a-8020-76e651877db3")),
        ("conntrack-events-snat-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d.log",
         (None, "snat-b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d")),
        ("nf_conntrack-blue.txt", (None, "blue")),
        ("qr.pcap", (None, None)),
    ],
)  # fmt: skip
def test_file_names_say_whose_table_it_is(name: str, scope: tuple[str | None, str | None]) -> None:
    assert scope_of(name) == scope


def test_a_folders_dumps_are_named_by_points_toml_or_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "conntrack-blue.txt").write_text(TCP_TEXT + "\n")
    (tmp_path / "dump.txt").write_text(PING_TEXT + "\n")
    assert read_conntrack_folder(tmp_path)[0] == [replace(TCP, netns="blue")]
    (tmp_path / "points.toml").write_text(
        '[[conntrack]]\nfile = "dump.txt"\nhost = "compute03"\nnetns = "qrouter-1"\n'
    )
    assert conntrack_files(tmp_path) == [(tmp_path / "dump.txt", "compute03", "qrouter-1")]
    wanted = [replace(PING, host="compute03", netns="qrouter-1")]
    assert read_conntrack_folder(tmp_path)[0] == wanted
    (tmp_path / "points.toml").write_text("[[conntrack")
    with pytest.raises(InputError, match=r"points.toml is not TOML: .* Correct that line\."):
        read_conntrack_folder(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_conntrack(tmp_path / "none.txt")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.compress])
def test_compressed_dumps(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "node1-conntrack-blue.txt.gz").write_bytes(compress(PING_TEXT.encode()))
    entries, warnings = read_conntrack_folder(tmp_path)
    assert entries == [replace(PING, host="node1", netns="blue")]
    assert warnings == []


def test_what_precedes_damage_of_a_compressed_dump_is_read() -> None:
    texts = [TCP_TEXT.replace("53788", str(port)) for port in range(1025, 3025)]
    stored = gzip.compress("\n".join(texts).encode())
    entries, warnings = read_conntrack(stored[: len(stored) // 2])
    assert 500 < len(entries) < 1500
    assert "truncated-gzip" in {warning.kind for warning in warnings}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_dump_that_windows_wrote_is_read(encoding: str, tmp_path: Path) -> None:
    dump = tmp_path / "conntrack.txt"
    dump.write_bytes(f"{PING_TEXT}\r\n{TCP_TEXT}\r\n".encode(encoding))
    assert read_conntrack(dump) == ([PING, TCP], [])


def test_the_first_line_that_is_no_entry_is_told(tmp_path: Path) -> None:
    _, (warning,) = read_conntrack(f"{PING_TEXT}\n\nnonsense\n{TCP_TEXT}\nmore\n".encode())
    assert (warning.count, warning.message.endswith("; the first is line 3")) == (2, True)


def test_a_device_is_no_dump() -> None:
    with pytest.raises(InputError, match="/dev/zero is a device, not a file"):
        read_conntrack(Path("/dev/zero"))
