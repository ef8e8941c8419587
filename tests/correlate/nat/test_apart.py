"""Packets alike of two senders, of which one place shows both, are not one that was translated."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scenarios.elements import Chain, Link, Router
from scenarios.traffic import MILLI, pings
from scenarios.world import World

from tracer.core.journeys import JourneySet
from tracer.core.mixing import GOLDEN
from tracer.correlate.hashing import roots
from tracer.correlate.join import join
from tracer.correlate.nat.apart import clash, unite_apart
from tracer.correlate.nat.votes import Edges
from tracer.correlate.packets.identity import OWN

SERVER, EACH = "198.51.100.1", 3


def found_of(ttls: tuple[int, int], apart_ns: int) -> JourneySet:
    """Two hosts ping one server over one router, and count alike."""
    world = World(1)
    inside, outside = world.point("fw-in", "fw"), world.point("fw-out", "fw")
    server = world.point("server", "server")
    for host in range(2):
        own = world.point(f"host{host}", f"host{host}")
        way = Chain(
            own, Link(), Router(), inside, Link(), Router(), Link(), outside, Link(), server
        )
        sent = pings(world, f"10.0.{host}.1", SERVER, EACH, gap_ns=1000 * MILLI, icmp_id=1,
                     constant=True, ids="zero", spread=0.0, ttl=ttls[host],
                     start_ns=host * apart_ns)  # fmt: skip
        world.run(way, sent)
    scenario = world.finish("two hosts")
    result = join(scenario.batch)
    pairs = np.column_stack([result.hops["journey"], scenario.truth.packet[result.hops["row"]]])
    assert len(np.unique(pairs, axis=0)) == len(result.journeys)
    return result


@pytest.mark.parametrize("ttls", [(128, 64), (255, 128)])
@pytest.mark.parametrize("apart_ns", [MILLI, 20 * MILLI])
def test_hosts_that_begin_with_other_ttls(ttls: tuple[int, int], apart_ns: int) -> None:
    assert found_of(ttls, apart_ns).journeys["n_hops"].tolist() == [4] * 2 * EACH


#: Class, point, TTL, link, tuple and traits of streams: 0 is seen at points 1 and 2.
ONE = ((0, 1, 64, 11, 100, 0), (0, 2, 63, 12, 100, 0))


@pytest.mark.parametrize(
    ("stream", "two"),
    [
        ((1, 2, 63, 13, 101, 0), True),  # another tuple at one place and TTL
        ((1, 2, 63, 13, 100, 0), False),  # the same tuple by another router
        ((1, 2, 62, 13, 101, 0), False),  # sent back, translated
        ((1, 2, 62, 12, 101, 0), True),  # by the same link, in two forms
        ((1, 2, 63, 13, 101, OWN), False),  # a bridge that translates, by ids
        ((1, 3, 63, 14, 101, 0), False),  # elsewhere
    ],
)
def test_a_place_that_shows_two_tuples_shows_two_flows(stream: tuple[int, ...], two: bool) -> None:
    of, point, ttl, link, named, traits = np.array([*ONE, stream]).T
    macs = np.arange(3, dtype=np.uint64)
    identity: Any = SimpleNamespace(
        point=point, ttl=ttl, link=link.astype(np.uint64) * GOLDEN, traits=traits.astype(np.int8),
        several=np.empty(0, np.bool_), src_mac=macs + 1, dst_mac=macs + 10,
    )  # fmt: skip
    streams: Any = SimpleNamespace(first=np.arange(3), named=named.astype(np.uint64))
    edges = Edges(np.array([0]), np.array([1]), np.array([3]))
    assert clash(identity, streams, of, edges).tolist() == [two]
    parent = np.array([0, 0, 2])
    unite_apart(identity, streams, parent, Edges(np.array([0]), np.array([2]), np.array([3])))
    assert len(np.unique(roots(parent))) == (2 if two else 1)
