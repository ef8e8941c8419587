"""Which stamps are believed to be of one clock, where few packets or small offsets tell."""

from collections.abc import Sequence

import numpy as np
import pytest
from made import batch_of

from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join

MICRO, MILLI = 1_000, 1_000_000
CLIENT, SERVER = ("10.0.1.2", 7), ("10.0.2.2", 9)
WAIT_US = 400  # between a question and its answer


def seen(
    ways: tuple[Sequence[str], Sequence[str]], off_us: dict[str, float], counts: tuple[int, int],
) -> JourneySet:  # fmt: skip
    """Return what is found of datagrams, so many of each of two ways; each host is a router."""
    rng = np.random.default_rng(5)
    hosts = list(off_us)
    rows: list[dict[str, object]] = []
    for back, way in enumerate(ways):
        (src, sport), (dst, dport) = (SERVER, CLIENT) if back else (CLIENT, SERVER)
        for number in range(counts[back]):
            at_us = number * 3_000.0 * max(counts) / counts[back] + back * WAIT_US
            for place, host in enumerate(way):
                at_us += 5 + rng.exponential(5) if place else 0.0
                rows.append(
                    {"point": hosts.index(host), "ttl": 64 - place, "ip_version": 4, "proto": 17,
                     "ip_id": 10_000 * back + number + 1, "ethertype": 0x800, "src": src,
                     "dst": dst, "sport": sport, "dport": dport, "payload_len": 20, "ip_len": 48,
                     "time_ns": int((at_us + off_us[host]) * MICRO)}
                )  # fmt: skip
    rows.sort(key=lambda row: row["time_ns"])  # type: ignore[arg-type,return-value]
    return join(batch_of(rows, tuple(Point(name, None, "eth0") for name in hosts)))


def offsets_us(found: JourneySet) -> dict[str, float]:
    return {clock.clock: clock.offset_ns / MICRO for clock in found.clocks}


@pytest.mark.parametrize("fewer", [0, 1])
def test_few_packets_of_one_way_contradict_many_of_the_other(fewer: int) -> None:
    ways = (("a", "b"), ("b", "a"))
    counts = (1000, 30) if fewer else (30, 1000)
    off_us = {"a": 0.0, "b": 300_000.0 if fewer else -300_000.0}
    found = offsets_us(seen(ways, off_us, counts))
    assert found["b"] - found["a"] == pytest.approx(off_us["a"] - off_us["b"], abs=20)


# Answers come back by another host. By the stamps it may share a clock with either neighbour, for
# both of which it is on one way only: no packet tells of two clocks alone.
def test_a_clock_between_those_of_a_circle_is_its_own() -> None:
    ways = (("a", "b", "c"), ("c", "d", "a"))
    off_us = {"a": 0.0, "b": 200.0, "c": -300.0, "d": -150.0}
    found = offsets_us(seen(ways, off_us, (400, 400)))
    for name, off in off_us.items():
        assert found[name] - found["a"] == pytest.approx(-off, abs=20), name


def test_clocks_that_hardly_differ_leave_no_hop_without_a_time() -> None:
    ways = (("a", "b", "c"), ("c", "d", "a"))
    off_us = {"a": 0.0, "b": 60.0, "c": -90.0, "d": -40.0}
    found = seen(ways, off_us, (400, 400))
    assert len(found.journeys) == 800
    assert (found.hops["delta_ns"] >= 0).sum() == 1600
