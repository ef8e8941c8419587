"""Copies that a mirror port sent to a collector are journeys of their own, beside the packets'."""

import random
from pathlib import Path

import pytest
from scapy.contrib.erspan import ERSPAN, ERSPAN_II
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

import tracer

START_S, COUNT, LOST, EARLY = 1_700_000_000, 30, 9, 12
PLACES = ("sender", "in", "out", "receiver")  # a router has two of them
Seen = dict[str, list[Packet]]


def wrapped(kind: str, frame: Packet, number: int) -> Packet:
    """A frame as a mirror port sends it to a collector."""
    outer = Ether(src="02:00:00:00:00:1f", dst="02:00:00:00:00:20")
    outer /= IP(src="172.16.0.1", dst="172.16.0.9", id=number, ttl=60)
    if kind == "tzsp":
        return outer / UDP(sport=40000, dport=37008, chksum=0) / Raw(b"\1\0\0\1\1") / frame
    if kind == "erspan-1":
        return outer / GRE(proto=0x88BE) / ERSPAN() / frame
    header = GRE(proto=0x88BE, seqnum_present=1, sequence_number=number)
    return outer / header / ERSPAN_II(session_id=5) / frame


def on_link(packet: Packet, back: bool, beyond: bool) -> Packet:
    """A packet as it is seen before or beyond the router."""
    packet = packet.copy()
    packet.ttl = 64 - (beyond != back)
    ends = (
        ["02:00:00:00:00:03", "02:00:00:00:00:04"]
        if beyond
        else ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    )
    src, dst = ends[::-1] if back else ends
    return Ether(src=src, dst=dst) / packet


def captures(kind: str, late_us: int, off_s: float) -> Seen:
    """Questions and answers past a router; the switch before it mirrors both ways.

    One question is lost behind the router, one before it. The collector's clock is off.
    """
    chance = random.Random(4)
    seen: Seen = {place: [] for place in (*PLACES, "collector")}

    def see(place: str, frame: Packet, at_s: float) -> None:
        frame = frame.copy()
        frame.time = at_s
        seen[place].append(frame)

    def mirror(frame: Packet, at_s: float) -> None:
        at_s += off_s + 1e-6 * (late_us + chance.randrange(200))
        see("collector", wrapped(kind, frame, len(seen["collector"])), at_s)

    for n in range(COUNT):
        at_s = START_S + n / 200
        udp = UDP(sport=5000, dport=53)
        question = IP(src="10.0.0.1", dst="10.0.9.2", id=100 + n) / udp / Raw(f"asks {n}".encode())
        for k, place in enumerate(PLACES):
            if (n == LOST and k == 3) or (n == EARLY and k > 0):
                continue
            see(place, on_link(question, False, k > 1), at_s + 2e-5 * k)
        mirror(on_link(question, False, False), at_s + 3e-6)
        if n in (LOST, EARLY):
            continue
        udp = UDP(sport=53, dport=5000)
        answer = IP(src="10.0.9.2", dst="10.0.0.1", id=900 + n) / udp / Raw(f"says {n}".encode())
        for k, place in enumerate(PLACES[::-1]):
            see(place, on_link(answer, True, k < 2), at_s + 1e-4 + 2e-5 * k)
        mirror(on_link(answer, True, False), at_s + 1.57e-4)
    return seen


def read(folder: Path, seen: Seen, places: tuple[str, ...]) -> tracer.JourneyFrames:
    folder.mkdir()
    for place in places:
        wrpcap(str(folder / f"{place}.pcap"), seen[place], nano=True)
    return tracer.read(folder)


def told(found: tracer.JourneyFrames) -> list[tuple[object, ...]]:
    """What is said of each packet: where it was, how it ended, why, and how long it took."""
    out = []
    for _, hops in found.hops.groupby("journey"):
        journey = found.journeys.set_index("journey").loc[hops["journey"].iloc[0]]
        if "collector" in set(hops["point"]):
            continue
        reason = journey["reason"] if isinstance(journey["reason"], str) else None
        out.append(
            (hops["ip_id"].iloc[0], tuple(hops["point"]), tuple(hops["delta"].dropna()),
             journey["outcome"], journey["outcome_at"], reason)
        )  # fmt: skip
    return sorted(out)


@pytest.mark.parametrize("kind", ["erspan-1", "erspan-2", "tzsp"])
@pytest.mark.parametrize("late_us", [0, 300])
@pytest.mark.parametrize("off_s", [0.0, -0.002])
def test_copies_change_nothing_of_the_packets(
    kind: str, late_us: int, off_s: float, tmp_path: Path
) -> None:
    seen = captures(kind, late_us, off_s)
    found = read(tmp_path / "with", seen, (*PLACES, "collector"))
    without = read(tmp_path / "without", seen, PLACES)
    assert told(found) == told(without)
    clocks = {each["host"]: each for each in found.summary["clocks"]}
    collector = clocks.pop("collector")
    assert clocks == {each["host"]: each for each in without.summary["clocks"]}
    assert collector["offset_ns"] == 0
    copies = found.hops[found.hops["point"] == "collector"]
    assert (copies["n"] == 1).all()
    assert len(copies) == 2 * COUNT - 2
    assert len(found.journeys) == 2 * (2 * COUNT - 2)
    asked = found.journeys.set_index("journey").loc[copies["journey"]]
    assert asked["retransmission_of"].isna().all()
    # A copy of an answer is that of the copy of a question.
    answers = asked["request"].dropna()
    assert answers.isin(copies["journey"]).all()


def test_copies_that_pass_captures_on_their_way_are_one_journey(tmp_path: Path) -> None:
    seen = captures("erspan-2", 300, 0.0)
    seen["core"] = []
    for frame in seen["collector"]:
        before = frame.copy()
        before.time = frame.time - 5e-5
        before[IP].ttl, before[IP].chksum = 61, None
        seen["core"].append(before)
    found = read(tmp_path / "all", seen, (*PLACES, "core", "collector"))
    copies = found.hops[found.hops["point"] == "collector"]
    assert (copies["n"] == 2).all()
    assert told(found) == told(read(tmp_path / "without", seen, PLACES))


def test_where_no_capture_shows_the_link_the_copy_stands_for_it(tmp_path: Path) -> None:
    # Nobody captured before the router.
    found = read(tmp_path / "all", captures("tzsp", 0, 0.0), ("out", "receiver", "collector"))
    asked = found.hops[(found.hops["dport"] == 53) & (found.hops["n"] == 1)]
    assert asked["point"].tolist() == ["collector"] * COUNT
