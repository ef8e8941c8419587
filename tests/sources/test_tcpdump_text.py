"""tcpdump text: what real tcpdump prints of crafted packets, against the packets themselves."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import (
    ARP,
    ICMP,
    IP,
    TCP,
    UDP,
    VXLAN,
    Dot1Q,
    Ether,
    ICMPv6EchoRequest,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
    Raw,
    RouterAlert,
)

from sources.printed import (
    A6,
    ALL,
    B6,
    MAC_A,
    MAC_B,
    OPTION_SETS,
    PACKETS,
    START,
    STEP,
    A,
    B,
    ether,
    expected,
    printed,
    save,
    seen,
    tcp,
)
from tracer.core.address import decode_ip, decode_mac, encode_ip
from tracer.core.enums import Decode, Encap
from tracer.core.schema import PACKET_COLUMNS, null_of
from tracer.sources.read import read
from tracer.sources.tcpdump_text import read_text, sniff


@pytest.fixture(scope="module")
def pcap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("text") / "mix.pcap", PACKETS)


@pytest.mark.parametrize("options", OPTION_SETS)
def test_what_tcpdump_prints_is_what_was_sent(options: str, pcap: Path) -> None:
    batch, warnings = read_text(printed(options, pcap).encode())
    assert len(batch) == len(PACKETS)
    for row, packet in enumerate(PACKETS):
        if "q" in options and VXLAN in packet:
            continue  # printed as UDP only
        wanted = expected(packet, options)
        assert seen(batch, row, wanted) == wanted, f"{options}: packet {row + 1}"
    allowed = {"date-unknown"} | ({"ignored-line"} if "A" in options else set())
    assert {warning.kind for warning in warnings} <= allowed
    assert (batch.packets["frame"] == np.arange(1, len(PACKETS) + 1)).all()
    assert (batch.packets["payload_digest"] == 0).all()
    if "v" not in options:
        assert (batch.packets["ttl"] == -1).all()


@pytest.mark.parametrize(
    ("option", "first", "kind"),
    [
        ("", START % 86_400_000_000_000, "date-unknown"),
        ("-tt", START, None),
        ("-ttt", 0, "time-relative"),
        ("-tttt", START, "zone-unknown"),
        ("-ttttt", 0, "time-relative"),
        ("-tt --nano", START, None),
    ],
)
def test_every_time_option(option: str, first: int, kind: str | None, pcap: Path) -> None:
    batch, warnings = read_text(printed(f"-nn {option}", pcap).encode())
    np.testing.assert_allclose(
        batch.packets["time_ns"] - first, np.arange(len(PACKETS)) * STEP, atol=1000
    )
    assert [warning.kind for warning in warnings] == ([kind] if kind else [])


def test_no_times_are_null_and_midnight_is_crossed(pcap: Path) -> None:
    batch, warnings = read_text(printed("-nn -t", pcap).encode())
    assert (batch.packets["time_ns"] == -1).all()
    assert len(batch) == len(PACKETS)
    assert warnings[0].kind == "time-absent"
    line = "{} IP 1.1.1.1 > 2.2.2.2: ICMP echo request, id 1, seq {}, length 64\n"
    text = line.format("23:59:59.900000", 1) + line.format("00:00:00.100000", 2)
    batch, _ = read_text(text.encode())
    assert np.diff(batch.packets["time_ns"]).tolist() == [200_000_000]


def test_tunnels_put_the_outer_header_aside(pcap: Path) -> None:
    for options in ("-nn", "-env"):
        batch, _ = read_text(printed(options, pcap).encode())
        tunnel = batch.sections["tunnel"]
        kinds = [Encap.VXLAN, Encap.GRE, Encap.IPIP, Encap.SIT]
        assert tunnel["encap"].tolist() == kinds
        assert tunnel["vni"].tolist() == [100, -1, -1, -1]
        outer = {decode_ip(int(r["outer_src_hi"]), int(r["outer_src_lo"])) for r in tunnel}
        assert outer == {"10.0.0.1"}
        assert tunnel["row"].tolist() == [20, 21, 22, 23]


def test_icmp_errors_say_what_they_quote(tmp_path: Path) -> None:
    quoted = IP(src=A, dst=B, ttl=1, id=9)
    data = TCP(sport=4000, dport=80, seq=77, flags="S")
    error = ether() / IP(src="10.9.9.9", dst=A, ttl=61)
    kinds = [(3, 0), (3, 1), (3, 3), (3, 4), (3, 10), (3, 13), (5, 1), (11, 0), (11, 1)]
    packets = [error / ICMP(type=kind, code=code) / quoted / data for kind, code in kinds]
    packets.append(error / ICMP(type=3, code=3) / quoted / UDP(sport=40, dport=53) / "abc")
    packets.append(error / ICMP(type=11) / quoted / ICMP(id=22344, seq=5) / "abc")
    batch, _ = read_text(printed("-nnv", save(tmp_path / "errors.pcap", packets)).encode())
    types = list(zip(batch.packets["icmp_type"], batch.packets["icmp_code"], strict=True))
    assert types == [*kinds, (3, 3), (11, 0)]
    section = batch.sections["quoted"]
    assert section["inner_ip_id"].tolist() == [9] * len(packets)
    assert section["inner_ttl"].tolist() == [1] * len(packets)
    assert section["inner_tcp_seq"].tolist() == [77] * len(kinds) + [-1, -1]
    assert section["inner_proto"].tolist() == [6] * len(kinds) + [17, 1]
    assert section["inner_sport"].tolist()[-2:] == [40, -1]
    assert section["inner_icmp_id"].tolist()[-1] == 22344
    plain, _ = read_text(printed("-nn", tmp_path / "errors.pcap").encode())
    assert plain.packets["icmp_code"].tolist() == batch.packets["icmp_code"].tolist()


def test_time_exceeded_of_ipv6(tmp_path: Path) -> None:
    inner = IPv6(src="2001:db8::1", dst="2001:db8::9", hlim=1) / UDP(sport=1, dport=2) / "aa"
    packet = ether() / IPv6(src="2001:db8::5", dst="2001:db8::1") / ICMPv6TimeExceeded() / inner
    batch, _ = read_text(printed("-nnv", save(tmp_path / "six.pcap", [packet])).encode())
    assert (batch.packets["icmp_type"][0], batch.packets["proto"][0]) == (3, 58)


def test_arp(tmp_path: Path) -> None:
    packets = [
        Ether(src=MAC_A, dst=ALL) / ARP(op=1, psrc=A, pdst="192.168.0.1", hwsrc=MAC_A),
        ether() / Dot1Q(vlan=20) / ARP(op=2, psrc="192.168.0.1", hwsrc=MAC_B, pdst=A, hwdst=MAC_A),
        Ether(src=MAC_A, dst=ALL) / ARP(op=1, psrc=A, pdst=A, hwsrc=MAC_A),
    ]  # fmt: skip
    path = save(tmp_path / "arp.pcap", packets)
    for options in ("-nn", "-nnev", "-nnt", "-e"):
        batch, _ = read_text(printed(options, path).encode())
        arp = batch.sections["arp"]
        assert arp["arp_op"].tolist() == [1, 2, 1]
        addresses = [decode_ip(int(r["arp_sender_ip_hi"]), int(r["arp_sender_ip_lo"])) for r in arp]
        assert addresses[1:] == ["192.168.0.1", A]
        assert decode_mac(int(arp["arp_sender_mac"][1])) == MAC_B
        assert batch.packets["ethertype"].tolist() == [0x0806] * 3
    assert decode_mac(int(batch.packets["dst_mac"][0])) == "ff:ff:ff:ff:ff:ff"


def test_only_what_tcpdump_printed_is_taken_for_it(pcap: Path) -> None:
    for options in [*OPTION_SETS, "-t", "-tt", "-ttt", "-tttt", "-tne"]:
        assert sniff(printed(options, pcap)[100:4096].encode()), options
    assert not sniff(pcap.read_bytes()[:4096])
    assert not sniff(b"")
    assert not sniff(b"conntrack v1.4.7 (conntrack-tools)\nipv4 2 icmp 1 29 src=1.1.1.1\n")
    assert not sniff(b"[[point]]\nfile = 'qr.pcap'\n")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 30), st.sampled_from(["A", "PA", "FA", "SA"])),
        min_size=1,
        max_size=12,
    ),
    st.integers(2**24, 2**32 - 1),
    st.integers(2**24, 2**32 - 1),
)
def test_relative_numbers_become_absolute(
    steps: list[tuple[bool, int, str]], isn_a: int, isn_b: int
) -> None:
    path = Path(f"/dev/shm/tracer-test-{id(steps)}.pcap")
    numbers = {True: isn_a, False: isn_b}
    packets = []
    for there, size, flags in steps:
        packets.append(tcp(there, flags, numbers[there], numbers[not there], b"x" * size))
        numbers[there] = (numbers[there] + size) % 2**32
    try:
        batch, _ = read_text(printed("-nn", save(path, packets)).encode())
    finally:
        path.unlink()
    # A first packet that does not print its number leaves its direction unknown.
    is_known = steps[0][1] > 0 or steps[0][2] in ("FA", "SA")
    for row, packet in enumerate(packets):
        allowed = {packet[TCP].ack} if is_known else {packet[TCP].ack, -1}
        assert int(batch.packets["tcp_ack"][row]) in allowed
        is_printed = bool(len(packet[TCP].payload) or int(packet[TCP].flags) & 7)
        allowed = {packet[TCP].seq if is_printed else -1} | (set() if is_known else {-1})
        assert int(batch.packets["tcp_seq"][row]) in allowed


def test_ipv6_extension_headers_are_passed(tmp_path: Path) -> None:
    six = ether() / IPv6(src=A6, dst=B6)
    datagram = UDP(sport=1, dport=2) / "aa"
    packets = [
        six / IPv6ExtHdrFragment(id=9, m=1) / datagram,
        six / IPv6ExtHdrFragment(id=9, offset=100, nh=17) / Raw("x" * 40),
        six / IPv6ExtHdrDestOpt(options=PadN(optdata="aa")) / datagram,
        six / IPv6ExtHdrHopByHop(options=RouterAlert()) / ICMPv6EchoRequest(id=7, seq=3),
    ]
    path = save(tmp_path / "six.pcap", packets)
    for options in ("-nn", "-nnv"):
        batch, warnings = read_text(printed(options, path).encode())
        assert [warning.kind for warning in warnings] == ["date-unknown"]
        assert batch.packets["proto"].tolist() == [17, -1, 17, 58]
        assert batch.packets["sport"].tolist() == [1, -1, 1, -1]
        assert batch.packets["payload_len"].tolist()[0:3:2] == [2, 2]
        assert batch.packets["frag_offset"].tolist() == [0, 800, -1, -1]
    assert batch.packets["ip_id"].tolist() == [9, 9, -1, -1]
    assert encode_ip(A6) == (batch.packets["src_hi"][0], batch.packets["src_lo"][0])


@pytest.mark.parametrize("length", [14, 18, 24, 34, 38, 42, 50])
def test_packets_cut_by_the_snaplen_are_kept_as_such(length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, length, 1)
    for packet in PACKETS:
        cut = bytes(packet)[:length]
        data += struct.pack("<IIII", 1, 2, len(cut), len(packet)) + cut
    path.write_bytes(data)
    for options in ("-nn", "-nnev"):
        batch, warnings = read_text(printed(options, path).encode())
        assert len(batch) == len(PACKETS)
        assert {warning.kind for warning in warnings} == {"date-unknown"}
        if length < 34:
            assert set(batch.packets["decode"].tolist()) <= {Decode.TRUNCATED, Decode.NOT_IP}


def test_text_says_what_the_bytes_say(captures: Path) -> None:
    """The same recorded packets, decoded from their bytes and from what tcpdump prints of them."""
    for pcap in sorted((captures / "fip-outbound").glob("*.pcap")):
        batch = read([pcap]).batch
        text, _ = read_text(printed("-nnevv -tt", pcap).encode())
        assert len(text) == len(batch) > 0
        for column in PACKET_COLUMNS:
            if column.name in ("point", "capture", "cap_len", "payload_digest", "decode"):
                continue
            for name in (
                (f"{column.name}_hi", f"{column.name}_lo")
                if column.kind == "ip"
                else (column.name,)
            ):
                known = text.packets[name] != np.array(null_of(column)).astype(
                    text.packets[name].dtype
                )
                assert (text.packets[name][known] == batch.packets[name][known]).all(), name
        spoken = ("src_lo", "dst_lo", "ttl", "ip_id", "src_mac", "tcp_flags", "icmp_seq", "tcp_seq")
        for name in spoken:
            assert (text.packets[name] == batch.packets[name]).all(), name
