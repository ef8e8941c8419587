"""Of many packets some compare the clocks, which are of all the time."""

import numpy as np
import pytest
from made import batch_of
from scenarios.bulk import bulk_batch
from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL, FIXED
from scenarios.traffic import datagrams, exchange
from scenarios.world import World

from tracer.core.point import Direction, Point
from tracer.correlate.clocks import samples
from tracer.correlate.join import join

PACKETS, POINTS, MILLI = 10_000, 8, 1_000_000
OUT = ("02:00:00:00:00:01", "02:00:00:00:00:02")


@pytest.mark.parametrize("step_ms", [0, 40])
def test_a_clock_is_compared_until_the_end(monkeypatch: pytest.MonkeyPatch, step_ms: int) -> None:
    batch, _ = bulk_batch(PACKETS * POINTS)
    servers = [point.host == "server" for point in batch.points]
    is_server = np.array(servers)[batch.packets["point"]]
    time = batch.packets["time_ns"]
    late = time > np.quantile(time, 0.6)
    time[is_server] += 5 * MILLI
    time[is_server & late] += step_ms * MILLI
    monkeypatch.setattr(samples, "MOST_SAMPLES", 20_000)  # of some 100,000

    found = join(batch)

    (server,) = [clock for clock in found.clocks if clock.clock == "server"]
    assert 1_000 < server.samples < 20_000
    assert server.evidence == ("step" if step_ms else "both-ways")
    assert server.offset_ns == pytest.approx(-5 * MILLI, abs=MILLI // 10)
    # But for those that were on their way when the clock was stepped.
    assert len(found.journeys) <= PACKETS + 10


def test_a_packet_that_was_bridged_and_routed_compares_no_clocks() -> None:
    """Both came to one MAC, the one with the higher TTL later than the other had left."""
    pod, port, up = range(3)
    points = (Point("pod", None, "eth0"), Point("node", None, "veth1"), Point("node", None, "up"))
    rows: list[dict[str, object]] = []

    def seen(number: int, macs: tuple[str, str], *hops: tuple[int, int, int]) -> None:
        for point, ttl, at_us in hops:
            rows.append(
                {"point": point, "ttl": ttl, "time_ns": number * MILLI + at_us * 1_000,
                 "ip_version": 4, "ethertype": 0x800, "proto": 17, "ip_id": number + 1,
                 "src": "10.0.0.2" if macs == OUT else "10.0.0.9", "sport": 9, "dport": 9,
                 "dst": "10.0.0.9" if macs == OUT else "10.0.0.2", "payload_len": 20,
                 "ip_len": 48, "src_mac": macs[0], "dst_mac": macs[1]}
            )  # fmt: skip

    for number in range(0, 150, 3):
        seen(number, OUT, (pod, 64, 0), (port, 64, 3), (up, 63, 9))
        seen(number + 1, OUT[::-1], (up, 64, 0), (port, 63, 6), (pod, 63, 9))
        if number % 15 == 0:
            seen(number + 2, OUT[::-1], (port, 64, 2), (port, 63, 5), (pod, 64, 25), (pod, 63, 28))
    batch = batch_of(rows, points)
    batch.packets["time_ns"][batch.packets["point"] == pod] += 2_000 * MILLI

    (clock,) = [each for each in join(batch).clocks if each.clock == "pod"]
    assert clock.offset_ns == pytest.approx(-2_000 * MILLI, abs=1_000)


@pytest.mark.parametrize("offset_s", [0, 0.3, 3, -3])
@pytest.mark.parametrize("is_back", [False, True])
def test_packets_of_one_link_that_go_one_way_tell_what_clocks_are_off_by(
    offset_s: float, is_back: bool
) -> None:
    """No router, no answer: the long delays tell which of the two was first."""
    rng, rows = np.random.default_rng(5), []
    for number in range(200):
        late_us = 40 + int(rng.exponential(10))
        for place in range(2):
            at = late_us if place != is_back else 0
            rows.append(
                {"point": place, "ip_version": 4, "ethertype": 0x800, "proto": 17, "ttl": 64,
                 "time_ns": number * 50 * MILLI + at * 1_000, "src": "10.0.0.2", "sport": 514,
                 "dst": "10.0.0.3", "dport": 514, "ip_id": number + 1, "payload_len": 100,
                 "ip_len": 128, "src_mac": OUT[0], "dst_mac": OUT[1]}
            )  # fmt: skip
    batch = batch_of(rows, (Point("a", None, "eth0"), Point("b", None, "eth0")))
    batch.packets["time_ns"][batch.packets["point"] == 1] += int(offset_s * 1_000) * MILLI

    found = join(batch)

    assert len(found.journeys) == 200
    if abs(offset_s) < 1:  # packets may have been that long on their way
        assert all(clock.offset_ns == 0 for clock in found.clocks)
        assert sorted(clock.evidence for clock in found.clocks) == ["one-way", "stamps"]
        return
    (clock,) = [each for each in found.clocks if each.clock == "b"]
    assert (clock.evidence, clock.uncertainty_ns) == ("one-way", None)
    assert clock.offset_ns == pytest.approx(-offset_s * 1_000 * MILLI, abs=60_000)
    first = batch.packets["point"][found.hops["row"][found.journeys["first_hop"]]]
    assert (first == is_back).mean() > 0.9


@pytest.mark.parametrize("sender", ["02:00:00:00:00:01", "02:00:00:00:00:04"])
def test_answers_that_go_back_to_another_router_compare_clocks_both_ways(sender: str) -> None:
    """What comes from a station, or an address, goes the other way than what goes to it."""
    station, asks, answers = (f"02:00:00:00:00:0{n}" for n in (1, 2, 3))
    rows: list[dict[str, object]] = []
    for number in range(60):
        back = number % 2
        for place in range(2):  # the switch's port, then the station; the other way for answers
            rows.append(
                {"point": place, "ip_version": 4, "ethertype": 0x800, "proto": 17,
                 "ttl": 64 if back else 60, "sport": 9, "dport": 9, "ip_id": number + 1,
                 "time_ns": number * 5 * MILLI + (place != back) * 8_000,
                 "src": "10.0.0.2" if back else "10.9.0.9", "payload_len": 100,
                 "dst": "10.9.0.9" if back else "10.0.0.2", "ip_len": 128,
                 "src_mac": sender if back else asks, "dst_mac": answers if back else station}
            )  # fmt: skip
    batch = batch_of(rows, (Point("edge", None, "p7"), Point("host", None, "eth0")))
    batch.packets["time_ns"][batch.packets["point"] == 1] += 3_000 * MILLI

    found = join(batch)

    (clock,) = [each for each in found.clocks if each.clock == "host"]
    assert clock.evidence == "both-ways"
    assert clock.offset_ns == pytest.approx(-3_000 * MILLI, abs=1_000)
    assert clock.uncertainty_ns is not None
    assert clock.uncertainty_ns < 20_000


def test_a_packet_that_was_flooded_and_routed_compares_no_clocks() -> None:
    """A switch that has not learnt where the router is sends it what it sends everywhere."""
    port, up, far, tap = range(4)
    points = (Point("a", None, "port"), Point("a", None, "up"), Point("b", None, "far"),
              Point("b", None, "tap"))  # fmt: skip
    routed = ("02:00:00:00:00:03", "02:00:00:00:00:04")
    rows: list[dict[str, object]] = []

    def seen(number: int, back: bool, *hops: tuple[int, int, int]) -> None:
        ends = ("10.0.0.9", "10.0.0.2") if back else ("10.0.0.2", "10.0.0.9")
        for point, ttl, at_us in hops:
            macs = (OUT if ttl == 64 else routed)[:: -1 if back else 1]
            rows.append(
                {"point": point, "ttl": ttl, "time_ns": number * MILLI + at_us * 1_000,
                 "ip_version": 4, "ethertype": 0x800, "proto": 17, "ip_id": number + 1,
                 "src": ends[0], "dst": ends[1], "sport": 9, "dport": 9, "payload_len": 20,
                 "ip_len": 48, "src_mac": macs[0], "dst_mac": macs[1]}
            )  # fmt: skip

    for number in range(0, 150, 2):
        seen(number, False, (port, 64, 0), (up, 63, 9), (far, 63, 15))
        seen(number + 1, True, (far, 64, 0), (up, 64, 6), (port, 63, 15))
    for number in range(150, 153):
        seen(number, False, (port, 64, 0), (up, 64, 3), (far, 64, 9), (up, 63, 20), (far, 63, 26),
             (tap, 64, 600))  # fmt: skip
    batch = batch_of(rows, points)
    batch.packets["time_ns"][np.isin(batch.packets["point"], (far, tap))] += 2_000 * MILLI

    (clock,) = [each for each in join(batch).clocks if each.clock == "b"]
    assert clock.offset_ns == pytest.approx(-2_000 * MILLI, abs=2_000)
    assert clock.uncertainty_ns is not None
    assert (clock.drift_ppm, clock.uncertainty_ns < 20_000) == (0, True)


def test_captures_without_the_targets_mac_compare_clocks_of_one_link() -> None:
    """Cooked captures tell who sent a packet, and which way it crossed the device."""
    towards = (Direction.EGRESS, Direction.INGRESS)
    points = tuple(Point(host, None, "if2", direction) for host in "ab" for direction in towards)
    rows: list[dict[str, object]] = []
    for number in range(60):
        back = number % 2
        ends = ("10.0.0.3", "10.0.0.2") if back else ("10.0.0.2", "10.0.0.3")
        for point, at_us in ((2, 0), (1, 3)) if back else ((0, 0), (3, 3)):
            rows.append(
                {"point": point, "ip_version": 4, "ethertype": 0x800, "proto": 17, "ttl": 64,
                 "time_ns": number * 5 * MILLI + at_us * 1_000, "src": ends[0], "dst": ends[1],
                 "sport": 9, "dport": 9, "ip_id": number + 1, "payload_len": 100, "ip_len": 128,
                 "src_mac": OUT[back]}
            )  # fmt: skip
    batch = batch_of(rows, points)
    batch.packets["time_ns"][batch.packets["point"] > 1] += 30 * MILLI

    (clock,) = [each for each in join(batch).clocks if each.clock == "b"]
    assert clock.evidence == "both-ways"
    assert clock.offset_ns == pytest.approx(-30 * MILLI, abs=3_000)


def test_of_many_hops_the_first_and_the_last_of_each_clock_are_compared() -> None:
    """What goes one way only comes back to the clock that it began with, after 13 hops."""
    world = World(11)
    world.clocks["b"] = Clock(2 * MILLI)
    middle = [part for n in range(13) for part in (world.point(f"a{n}", "a"), Link(2_000, 500))]
    begin, end = world.point("b0", "b"), world.point("b1", "b")
    chain = Chain(begin, Router(), Link(2_000, 500), *middle, Router(), end)
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 200, flows=20, gap_ns=2 * MILLI))

    found = join(world.finish("far").batch)

    (clock,) = [each for each in found.clocks if each.clock == "b"]
    assert clock.evidence == "both-ways"
    assert clock.offset_ns == pytest.approx(-2 * MILLI, abs=clock.uncertainty_ns)
    assert len(found.journeys) == 200


def test_packets_without_numbers_that_some_capture_doubles_compare_clocks() -> None:
    world = World(12)
    world.clocks["b"] = Clock(-700_000)
    out, port = world.point("a0", "a"), world.point("a1", "a")
    chain = Chain(out, Router(), port, Link(9_000, 2_000), Router(), world.point("b0", "b"))
    world.captures[port.point].copies = 1.0
    asked = datagrams(world, FIXED, EXTERNAL, 200, flows=20, gap_ns=2 * MILLI, ids="zero")
    exchange(world, chain, asked, ids="zero")

    found = join(world.finish("doubled").batch)

    (clock,) = [each for each in found.clocks if each.clock == "b"]
    assert clock.evidence == "both-ways"
    assert clock.offset_ns == pytest.approx(700_000, abs=clock.uncertainty_ns)
    assert len(found.journeys) == 400


@pytest.mark.parametrize("from_ms", [(0, 4_000), (0, 2_400, 4_000), (2_400, 4_000)])
def test_a_clock_that_was_set_back_was_so_in_captures_that_were_silent_then(
    from_ms: tuple[int, ...],
) -> None:
    """What `eth1` shows does not fall back: some of it may be from before and from after."""
    world = World(13)
    world.clocks["c"] = Clock(0, 0.0, ((EPOCH + 2 * SECOND, -SECOND),))
    for number, begins in enumerate(((0,), from_ms)):
        chain = Chain(
            world.point(f"a{number}", "a"), Router(), Link(9_000, 2_000),
            world.point(f"eth{number}", "c"),
        )  # fmt: skip
        count = 200 if number else 2_000
        for begin in begins:
            asked = datagrams(
                world, FIXED, EXTERNAL, count, flows=20, gap_ns=5 * MILLI // 2,
                start_ns=begin * MILLI,
            )  # fmt: skip
            exchange(world, chain, asked)
    scenario = world.finish("back")

    found = join(scenario.batch)

    sizes = np.bincount(scenario.truth.packet[found.hops["row"]])
    assert (np.bincount(found.hops["journey"]) == 2).all()
    assert len(found.journeys) == len(sizes)
    off = found.hops["time_ns"] - scenario.truth.true_ns[found.hops["row"]]
    assert np.ptp(off) < 50_000


@pytest.mark.parametrize("order", ["appended", "as written"])
@pytest.mark.parametrize("host", ["c", "d"])
def test_stamps_that_fall_back_between_points_of_a_file_are_no_step(host: str, order: str) -> None:
    """`mergecap -a` appends a file to another; dumpcap writes what each socket has, by turns."""
    world = World(13)
    world.clocks["d"] = Clock(700_000, 0.0)
    chain = Chain(world.point("eth0", "c"), Router(), Link(9_000, 2_000), world.point("eth1", host))
    asked = datagrams(world, FIXED, EXTERNAL, 2_000, flows=20, gap_ns=2 * MILLI)
    exchange(world, chain, asked)
    batch = world.finish("appended").batch
    point, time = batch.packets["point"], batch.packets["time_ns"]
    turn = 0 if order == "appended" else time // (100 * MILLI)
    rows = np.lexsort((time, point, np.broadcast_to(turn, len(batch))))
    batch = batch.take(rows)
    batch.packets["capture"] = 0

    found = join(batch)

    assert len(found.journeys) == 4_000
    assert (np.bincount(found.hops["journey"]) == 2).all()
    assert sorted(each.clock for each in found.clocks) == sorted({"c", host})
