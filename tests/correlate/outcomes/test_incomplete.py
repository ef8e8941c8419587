"""Fragments of which one was lost: each piece ends where it ended, and says why."""

from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

import tracer
from tracer.correlate.outcomes.incomplete import INCOMPLETE, PUT_TOGETHER

COUNT, ROOM, START_S = 12, 1400, 1_700_000_000
ROUTER, WIRE = 1, 2  # captures at which a lost piece was seen last
HOSTS = ("sender", "in", "out", "receiver", "vm")
Lost = dict[tuple[int, int], int]  # (datagram, piece) and the place where it was seen last


class End(NamedTuple):
    """How a packet ended."""

    at: str
    outcome: str
    reason: str | None


def answer(number: int) -> IP:
    """What the receiver says."""
    udp = UDP(sport=6000, dport=5000)
    return IP(src="10.0.9.2", dst="10.0.0.1", id=4000 + number) / udp / Raw(f"{number}".encode())


def datagram(number: int, carried: bool) -> IP:
    """4000 bytes, or a frame of as many in VXLAN."""
    data = Raw(bytes((number * 7 + i) % 251 for i in range(4000)))
    udp = UDP(sport=5000, dport=6000)
    if carried:
        frame = Ether(src="02:00:00:00:00:0b", dst="02:00:00:00:00:0c")
        frame /= IP(src="192.168.0.1", dst="192.168.0.2", id=2000 + number) / udp / data
        udp = UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=7, flags="Instance")
        data = frame
    whole = IP(src="10.0.0.1", dst="10.0.9.2", id=1000 + number) / udp / data
    return IP(bytes(whole))


def seen(piece: Packet, host: int) -> Packet:
    """A piece as it is seen on one of the two links."""
    piece = piece.copy()
    piece.ttl, piece.chksum = 64 - (host > ROUTER), None
    ends = (1, 2) if host <= ROUTER else (3, 4)
    return Ether(src=f"02:00:00:00:00:0{ends[0]}", dst=f"02:00:00:00:00:0{ends[1]}") / piece


def journeys(
    folder: Path, lost: Lost, carried: bool = False, missed: tuple[int, int] = (-1, -1)
) -> dict[tuple[int, int], End]:
    """How each piece ended; `missed`: one that the receiver's capture does not show.

    The pieces come past a router to a host, which puts together what came in full, and hands on
    what it carries.
    """
    captures: dict[str, list[Packet]] = {host: [] for host in HOSTS}
    for number in range(COUNT):
        whole = datagram(number, carried)
        at_s = START_S + number / 100
        for k, piece in enumerate(fragment(whole, ROOM)):
            for host in range(4):
                if host > lost.get((number, k), 4) or (host == 3 and missed == (number, k)):
                    continue
                frame = seen(piece, host)
                frame.time = at_s + 2e-6 * k + 2e-5 * host
                captures[HOSTS[host]].append(frame)
        if carried and not any(n == number for n, _ in lost):
            inner = whole[VXLAN].payload.copy()
            inner.time = at_s + 1e-4
            captures["vm"].append(inner)
    for host, frames in captures.items():
        if frames:
            wrpcap(str(folder / f"{host}.pcap"), frames, nano=True)
    found = tracer.read(folder)
    firsts = found.hops[found.hops["n"] == 1].set_index("journey")
    ends = {}
    for journey in found.journeys.itertuples():
        first = firsts.loc[journey.journey]
        offset = 0 if first["src"].startswith("192.") else first["frag_offset"]
        reason = journey.reason if isinstance(journey.reason, str) else None
        end = End(journey.outcome_at, journey.outcome, reason)
        ends[first["ip_id"] % 1000, offset // ROOM] = end
    return ends


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("piece", [0, 1, 2])
def test_the_piece_that_was_lost_ends_there_and_others_say_what_is_missing(
    piece: int, carried: bool, tmp_path: Path
) -> None:
    ends = journeys(tmp_path, {(3, piece): WIRE, (7, piece): ROUTER - 1}, carried)
    assert len(ends) == 3 * COUNT
    for (number, k), end in ends.items():
        if number not in (3, 7):
            whole = carried and k == 0
            assert end == End("vm" if whole else "receiver", "delivered", None)
        elif k == piece:
            assert end == End("out" if number == 3 else "sender", "vanished", None)
        else:  # the packet inside is to go on
            outcome = "vanished" if carried and k == 0 else "delivered"
            assert end == End("receiver", outcome, INCOMPLETE)


def test_where_others_went_on_it_is_not_what_is_missing(tmp_path: Path) -> None:
    # Nobody put them together there.
    ends = journeys(tmp_path, {(3, 0): ROUTER, (3, 1): WIRE})
    assert ends[3, 0] == End("in", "vanished", None)
    assert ends[3, 1] == End("out", "vanished", None)
    assert ends[3, 2] == End("receiver", "delivered", INCOMPLETE)


@pytest.mark.parametrize("piece", [1, 2])
def test_a_piece_of_what_came_out_of_its_tunnel_arrived(piece: int, tmp_path: Path) -> None:
    ends = journeys(tmp_path, {}, True, missed=(3, piece))
    assert ends.pop((3, piece)) == End("out", "lost-by-tracer", PUT_TOGETHER)
    assert {(end.outcome, end.reason) for end in ends.values()} == {("delivered", None)}


def test_an_answer_to_another_datagram_of_the_same_id_says_nothing(tmp_path: Path) -> None:
    captures: dict[str, list[Packet]] = {host: [] for host in HOSTS[:4]}
    for number in range(COUNT):
        whole, lost = datagram(number, False), number == 3
        whole.id = 1000 + number // 2  # one time each comes again
        sent = [(piece, 0) for piece in fragment(whole, ROOM)]
        sent += [] if lost else [(answer(number), 1)]
        for k, (packet, back) in enumerate(sent):
            for host in range(3 if lost and k == 1 else 4):
                frame = seen(packet, 3 - host if back else host)
                if back:
                    frame.src, frame.dst, frame.ttl = frame.dst, frame.src, 64 - (host > 1)
                frame.time = START_S + number / 10 + 2e-6 * k + 2e-5 * host + 1e-4 * back
                captures[HOSTS[3 - host if back else host]].append(frame)
    for host, frames in captures.items():
        wrpcap(str(tmp_path / f"{host}.pcap"), frames, nano=True)
    found = tracer.read(tmp_path).journeys
    assert len(found) == 3 * COUNT + COUNT - 1
    assert found.query("outcome != 'delivered'")["outcome"].tolist() == ["vanished"]
