"""Parity with tshark on stacks of headers as captures from elsewhere have them.

Where the two differ by design: tshark does not know Linux's old VXLAN port (8472), nor a pseudowire
without a control word; of an IP header whose length is shorter than itself it shows no addresses.
"""

from pathlib import Path

import pytest
from decoding import decoded, records, value
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import ETHERNET, PacketMaker, write_pcap
from stacks import SERIAL, Stacks
from test_tshark_parity import COLUMNS, MADE
from tshark_oracle import dissect

PACKETS = 300


def differences(path: Path, linktype: int, packets: list[bytes], whole: list[bytes]) -> list[str]:
    """Return what differs; where a packet was cut, only in what tshark shows of it."""
    write_pcap(path, linktype, packets, [len(packet) for packet in whole])
    _, _, wire, times = records(path)
    ours = decoded(packets, linktype, wire, times)
    found = []
    for row, dissection in enumerate(dissect(path)):
        if not dissection.is_ip:
            continue
        columns = dissection.columns()
        if columns["ttl"] is None:
            continue  # the capture ends in an IP header: the row is the packet around it
        for name in COLUMNS:
            want, got = columns.get(name), value(ours, row, name)
            if got != want and not (want is None and len(packets[row]) < len(whole[row])):
                layers = ":".join(dissection.protocols)
                found.append(f"{row + 1} {name}: {got} not {want} ({layers}) {packets[row].hex()}")
    return found


@settings(MADE, max_examples=4)
@given(seed=st.integers(0, 2**32))
def test_stacks(tmp_path: Path, seed: int) -> None:
    maker = Stacks(seed)
    packets = [maker.frame() for _ in range(PACKETS)]
    assert differences(tmp_path / "made.pcap", ETHERNET, packets, packets) == []


@settings(MADE, max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_cut_stacks(tmp_path: Path, seed: int) -> None:
    maker = Stacks(seed)
    whole = [maker.frame() for _ in range(PACKETS)]
    cut = [packet[: maker.random.randrange(min(len(packet), 200) + 1)] for packet in whole]
    assert differences(tmp_path / "cut.pcap", ETHERNET, cut, whole) == []


@pytest.mark.parametrize("kind", SERIAL)
@settings(MADE, max_examples=1)
@given(seed=st.integers(0, 2**32))
def test_serial_links(tmp_path: Path, kind: str, seed: int) -> None:
    maker = Stacks(seed)
    packets = [maker.serial(kind) for _ in range(PACKETS)]
    assert differences(tmp_path / "serial.pcap", SERIAL[kind], packets, packets) == []


#: What stands before an IP packet on links of a type that tshark knows, too.
BEFORE_IP = {
    204: bytes.fromhex("01ff030021"),
    109: bytes.fromhex("020000000000100100000000"),
}


@pytest.mark.parametrize("linktype", BEFORE_IP)
def test_links_with_a_short_header(tmp_path: Path, linktype: int) -> None:
    maker = PacketMaker(3)
    packets = [BEFORE_IP[linktype] + bytes(maker.ipv4(depth=9)) for _ in range(50)]
    assert differences(tmp_path / "made.pcap", linktype, packets, packets) == []
    ours = decoded(packets, linktype)
    assert {value(ours, row, "src") is None for row in range(50)} == {False}
    assert set(ours.direction.tolist()) == {1 if linktype == 204 else -1}


def test_bare_mpls_is_what_an_ethernet_header_may_carry() -> None:
    """tshark and tcpdump do not print this link type; above, tshark is asked about that one."""
    maker = PacketMaker(3)
    bare = [bytes.fromhex("0001a140") + bytes(maker.ipv4(depth=9)) for _ in range(50)]
    ours, framed = decoded(bare, 219), decoded([bytes(12) + b"\x88\x47" + each for each in bare])
    for row in range(50):
        for name in ("mpls_label", "src", "dst", "ttl", "ip_id", "proto", "sport", "payload_len"):
            assert value(ours, row, name) == value(framed, row, name)
        assert value(ours, row, "mpls_label") == 26


def test_the_maker_makes_every_tunnel(tmp_path: Path) -> None:
    maker = Stacks(1)
    path = tmp_path / "made.pcap"
    write_pcap(path, ETHERNET, [maker.frame() for _ in range(4 * PACKETS)])
    seen = {name for dissection in dissect(path) for name in dissection.protocols}
    assert seen >= {
        *(
            "gtp",
            "teredo",
            "l2tp",
            "lisp-data",
            "tzsp",
            "capwap.data",
            "ayiya",
            "etherip",
            "erspan",
        ),
        *("vxlan", "geneve", "gre", "nsh", "mpls", "ppp", "pppoes", "macsec", "ieee8021ah", "etag"),
        *("vntag", "hsr", "ieee8021cb", "llc", "dccp", "udplite", "etherip", "erspan"),
    }
