"""Parity with tshark on stacks of headers as captures from elsewhere have them.

Where the two differ by design: tshark does not know Linux's old VXLAN port (8472), nor a pseudowire
without a control word; of an IP header whose length is shorter than itself it shows no addresses.
"""

from pathlib import Path

import pytest
from decoding import decoded, records, value
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import ETHERNET, write_pcap
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
