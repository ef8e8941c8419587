"""Copies that a hub or a mirror port shows late say nothing of clocks; who is on the way does."""

import numpy as np
import pytest
from made import batch_of

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join

MICRO, MILLI = 1_000, 1_000_000
OFF_MS = {"client": 0, "aside": 300, "server": -200}
MACS = {net: tuple(f"02:00:00:00:{net}:0{end}" for end in "ab") for net in (63, 64)}


def exchanges(late_us: float, inline: bool) -> JourneySet:
    """Return what is found of datagrams between client and server, which a router connects.

    A third host shows them beside the client's link: on their way (`inline`), or copies that are as
    late as `late_us` on average.
    """
    rng = np.random.default_rng(3)
    rows: list[dict[str, object]] = []
    for number in range(400):
        back = number % 2 == 1
        ends = [("10.0.1.2", 7), ("10.0.2.2", 9)]
        (src, sport), (dst, dport) = ends[::-1] if back else ends
        flight = {"client": 0, "aside": 20, "server": 60}
        for point, (name, at_us) in enumerate(flight.items()):
            late = 0.0 if inline or name != "aside" else rng.exponential(late_us)
            # Beside it the copy is shown once the router passed the frame on, or took it.
            there = at_us if not back else (45 if name == "aside" else 60 - at_us)
            ttl = 64 if (name == "server") == back else 63
            macs = MACS[63 if name == "server" else 64]
            rows.append(
                {"point": point, "ttl": ttl, "ip_id": number + 1, "ip_version": 4, "proto": 17,
                 "time_ns": number * 3 * MILLI + int((there + late) * MICRO) + OFF_MS[name] * MILLI,
                 "ethertype": 0x800, "src": src, "dst": dst, "sport": sport, "dport": dport,
                 "payload_len": 20, "ip_len": 48, "src_mac": macs[back], "dst_mac": macs[not back]}
            )  # fmt: skip
    return join(batch_of(rows, tuple(Point(name, None, "eth0") for name in OFF_MS)))


@pytest.mark.parametrize(("late_us", "inline"), [(150, False), (300, False), (0, True)])
def test_late_copies_leave_clocks_right_and_packets_whole(late_us: float, inline: bool) -> None:
    found = exchanges(late_us, inline)
    clocks = {clock.clock: clock for clock in found.clocks}
    base = clocks["client"].offset_ns
    for name, off_ms in OFF_MS.items():
        assert clocks[name].offset_ns - base == pytest.approx(-off_ms * MILLI, abs=80 * MICRO)
    said = sorted(clock.evidence for clock in found.clocks)
    assert said == ["both-ways", "both-ways" if inline else "one-way", "stamps"]
    assert (clocks["aside"].evidence == "one-way") != inline
    assert len(found.journeys) == 400
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()


def mirrored(count: int) -> JourneySet:
    """Return what captures of one clock show of a link that a mirror port shows, too.

    Its copies are late, both ways, behind the port `p2`, and before what is further away.
    """
    rng = np.random.default_rng(4)
    at_us = {"c": 0, "p1": 60, "p2": 64, "s": 120}
    rows: list[dict[str, object]] = []
    for number in range(count):
        back = number % 2 == 1
        ends = [("10.0.1.2", 7), ("10.0.1.3", 9)]
        (src, sport), (dst, dport) = ends[::-1] if back else ends
        times = {name: 120 - us if back else us for name, us in at_us.items()}
        times["mirror"] = times["p2"] + min(2 + rng.exponential(8), 50)
        for point, us in enumerate(times.values()):
            rows.append(
                {"point": point, "ttl": 64, "ip_id": number + 1, "ip_version": 4, "proto": 17,
                 "time_ns": number * 3 * MILLI + int(us * MICRO), "ethertype": 0x800,
                 "src": src, "dst": dst, "sport": sport, "dport": dport, "payload_len": 20,
                 "ip_len": 48, "src_mac": MACS[64][back], "dst_mac": MACS[64][not back]}
            )  # fmt: skip
    return join(batch_of(rows, tuple(Point(None, None, name) for name in (*at_us, "mirror"))))


def test_a_mirror_of_a_port_on_the_way_moves_no_clock() -> None:
    found = mirrored(400)
    assert {clock.evidence for clock in found.clocks} == {"stamps"}
    points = found.observations.packets["point"][found.hops["row"]]
    names = [found.observations.points[code].device for code in points]
    starts = np.flatnonzero(np.diff(found.hops["journey"], prepend=-1))
    assert len(starts) == 400
    ways = {tuple(names[i : i + 5]) for i in starts.tolist()}
    assert {way for way in ways if way[0] == "c"} == {("c", "p1", "p2", "mirror", "s")}
    assert {tuple(n for n in way if n != "mirror") for way in ways if way[0] == "s"} == {
        ("s", "p2", "p1", "c")
    }
