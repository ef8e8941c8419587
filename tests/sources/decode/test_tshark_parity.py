"""The decoder's columns equal tshark's, packet by packet.

Where the two differ by design, and why:
- tshark goes into tunnels by source port as well as by destination port (a client's ephemeral port
  may be 4789); we by destination only, as the kernel does. The generator makes no such ports.
- A tunnel with no IP inside (ARP over VXLAN): tshark's last IP header is the outer one; our row is
  the inner packet, and the outer header stands in the `tunnel` section, compared here.
- Of a header that the capture cuts, tshark shows fewer fields than were captured (it fetches some
  together). Where a row is truncated and tshark is silent, the value is compared with the one of
  the whole packet instead.
"""

import gzip
import subprocess
from pathlib import Path
from typing import Any

import pytest
import zstandard
from decoding import decoded, records, value
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from packets import ETHERNET, NULL, RAW, SLL, SLL2, PacketMaker, truncated, write_pcap
from scapy.all import GRE, IP, UDP, Ether, Raw, fragment
from scapy.contrib.geneve import GENEVE
from scapy.layers.vxlan import VXLAN
from tshark_oracle import dissect

from tracer.core.enums import Decode
from tracer.sources.decode.rows import DecodedFrames

COLUMNS = (
    *("frame", "time_ns", "src", "dst", "ttl", "ip_id", "proto", "sport", "dport"),
    *("icmp_id", "icmp_seq", "icmp_type", "tcp_seq", "tcp_ack", "tcp_flags", "tcp_window"),
    *("src_mac", "dst_mac", "vlan", "vlan_inner"),
)
OUTER = {
    "src": "outer_src",
    "dst": "outer_dst",
    "ttl": "outer_ttl",
    "ip_id": "outer_ip_id",
    "src_mac": "outer_src_mac",
    "dst_mac": "outer_dst_mac",
    "sport": "outer_sport",
    "dport": "outer_dport",
    "vlan": "outer_vlan",
}
PACKETS = 300
# A seed has nothing to shrink: its packets are printed.
MADE = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def differences(path: Path, whole: list[bytes] | None = None) -> list[str]:
    """Return what differs between tshark and us; `whole` are the packets before they were cut."""
    linktype, packets, wire, times = records(path)
    ours = decoded(packets, linktype, wire, times)
    uncut = decoded(whole, linktype, None, times) if whole else ours
    theirs = dissect(path)
    assert len(theirs) == len(packets) == len(ours.packets)
    found = []
    for row, dissection in enumerate(theirs):
        cut = ours.packets[row]["decode"] != Decode.COMPLETE
        pairs: list[tuple[str, Any]] = list(dissection.sections().items())
        if dissection.is_ip and dissection.has_ip_inside:
            inner = dissection.columns()
            if inner["ttl"] is None:
                continue  # cut early in an inner header: the row is the packet around it
            pairs += [(name, inner.get(name)) for name in COLUMNS]
        if dissection.is_ip and dissection.is_tunnelled and value(ours, row, "tunnels"):
            outer = dissection.columns(outermost=True)
            pairs += [(name, outer.get(of)) for of, name in OUTER.items()]
        for name, want in pairs:
            got = value(ours, row, name)
            if got == want or (want is None and cut and got in _whole(uncut, row, name)):
                continue
            layers = ":".join(dissection.protocols)
            found.append(f"{row + 1} {name}: {got} not {want} ({layers}) {packets[row].hex()}")
    return found


def _whole(uncut: DecodedFrames, row: int, name: str) -> list[Any]:
    # A packet cut before its tunnel header is seen as the outer packet.
    return [value(uncut, row, name), value(uncut, row, OUTER.get(name, name))]


@pytest.mark.parametrize("linktype", [ETHERNET, RAW, SLL, SLL2, NULL])
@settings(MADE, max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_made_packets(tmp_path: Path, linktype: int, seed: int) -> None:
    maker = PacketMaker(seed)
    packets = [maker.frame(linktype) for _ in range(PACKETS)]
    path = tmp_path / "made.pcap"
    write_pcap(path, linktype, packets)
    assert differences(path) == []


@settings(MADE, max_examples=4)
@given(seed=st.integers(0, 2**32))
@example(seed=336)  # cut two bytes into a header for fragments
@example(seed=7528)  # cut one byte into options for the destination
def test_cut_packets(tmp_path: Path, seed: int) -> None:
    maker = PacketMaker(seed, tunnels=1)
    packets = [maker.frame(ETHERNET) for _ in range(PACKETS)]
    path = tmp_path / "cut.pcap"
    cut = [truncated(maker, packet) for packet in packets]
    write_pcap(path, ETHERNET, cut, [len(packet) for packet in packets])
    assert differences(path, packets) == []


@pytest.mark.parametrize("room", [8, 16, 24, 40, 64, 96, 600])
def test_first_fragments_of_tunnels(tmp_path: Path, room: int) -> None:
    """What a fragment carries is read as far as it reaches; where that is all, nothing is amiss."""
    inside = IP(src="10.0.0.1", dst="10.0.0.2", id=5) / UDP(dport=7000) / Raw(bytes(range(256)) * 5)
    frame = Ether(src="fa:16:3e:00:00:0c", dst="fa:16:3e:00:00:0d") / inside
    outer = IP(src="192.0.2.1", dst="192.0.2.2", id=77)
    carried = [
        outer / UDP(sport=50000, dport=4789) / VXLAN(vni=9) / frame,
        outer / UDP(sport=50000, dport=6081) / GENEVE(vni=9) / frame,
        outer / GRE() / inside,
        outer / inside,
    ]
    link = Ether(src="fa:16:3e:00:00:0a", dst="fa:16:3e:00:00:0b")
    pieces = [bytes(link / fragment(packet, room)[0]) for packet in carried]
    path = tmp_path / "pieces.pcap"
    write_pcap(path, ETHERNET, pieces)
    assert differences(path, [bytes(link / packet) for packet in carried]) == []
    decode = decoded(pieces).packets["decode"].tolist()
    assert set(decode) <= {Decode.COMPLETE, Decode.TRUNCATED}
    if room >= 96:  # all headers are in the first fragment
        assert set(decode) == {Decode.COMPLETE}


def test_the_maker_makes_every_layer(tmp_path: Path) -> None:
    """Parity of what is never made would mean nothing."""
    maker = PacketMaker(2)
    path = tmp_path / "made.pcap"
    write_pcap(path, ETHERNET, [maker.frame(ETHERNET) for _ in range(2 * PACKETS)])
    seen = {name for dissection in dissect(path) for name in dissection.protocols}
    assert seen >= {
        *("vlan", "ieee8021ad", "mpls", "pppoes", "llc", "arp", "ip", "ipv6", "ah"),
        *("ipv6.hopopts", "ipv6.routing", "ipv6.fraghdr", "ipv6.dstopts"),
        *("tcp", "udp", "sctp", "icmp", "icmpv6", "vxlan", "geneve", "gre"),
    }


def test_recorded_captures(captures: Path, tmp_path: Path) -> None:
    """All recorded packets of a link type in one file: tshark takes its time to start."""
    together: dict[int, tuple[list[bytes], list[int]]] = {}
    for source in sorted(captures.rglob("*.pcap*")):
        linktype, packets, wire, _ = records(_plain(source, tmp_path / "one.pcap"))
        kept = together.setdefault(linktype, ([], []))
        kept[0].extend(packets)
        kept[1].extend(wire)
    assert sum(len(packets) for packets, _ in together.values()) > 1000
    for linktype, (packets, wire) in together.items():
        path = tmp_path / f"{linktype}.pcap"
        write_pcap(path, linktype, packets, wire)
        assert differences(path) == []


def _plain(source: Path, path: Path) -> Path:
    if source.suffix == ".pcapng":
        command = ["tshark", "-r", str(source), "-F", "nsecpcap", "-w", str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return path
    raw = source.read_bytes()
    if source.suffix == ".gz":
        raw = gzip.decompress(raw)
    if source.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().decompress(raw, max_output_size=1 << 26)
    path.write_bytes(raw)
    return path
