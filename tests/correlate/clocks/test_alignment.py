"""What is left of clocks' errors where no offset, drift or step explains what packets say."""

import numpy as np
import pytest
from scenarios.clocks import EPOCH, Clock
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL, FIXED
from scenarios.traffic import MILLI, datagrams
from scenarios.world import World

from tracer.correlate.join import join

PACKETS = 300


@pytest.mark.parametrize("seed", [5, 8, 11])
def test_packets_are_whole_though_their_clocks_contradict_each_other(seed: int) -> None:
    """All go one way, by hosts whose clocks are set twice, by less than packets may take."""
    rng = np.random.default_rng(seed)
    world, parts = World(seed), list[object]()
    for host in "abcdef":
        steps = [
            (EPOCH + int(at * 2 * PACKETS * MILLI), int(rng.uniform(-9, 9) * MILLI))
            for at in sorted(rng.uniform(0.1, 0.9, 2))
        ]
        world.clocks[host] = Clock(0, 0.0, tuple(steps) if host != "a" else ())
        parts += [world.point(f"{host}0", host), Router(), Link(30_000, 9_000)]
    sent = datagrams(world, FIXED, EXTERNAL, PACKETS, flows=20, gap_ns=2 * MILLI)
    world.run(Chain(*parts[:-2]), sent)

    found = join(world.finish("contradicted").batch)

    assert len(found.journeys) == PACKETS
    assert (np.bincount(found.hops["journey"]) == 6).all()
