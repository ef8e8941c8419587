"""Packets alike of flows of one packet, of which NAT rewrites both ends: only time is left."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scenarios.elements import Chain, Router
from scenarios.nat import Nat
from scenarios.places import FIP, FIXED, dvr, ends, laptops, line
from scenarios.scenario import Scenario
from scenarios.special import errors
from scenarios.traffic import MILLI, datagrams, exchange, once
from scenarios.world import World

from tracer.core.enums import Evidence, Outcome
from tracer.core.journeys import JourneySet
from tracer.correlate.join import JoinOptions, join

COUNT = 60
FAR, NEAR = MILLI, MILLI // 50  # between packets that take about 15 microseconds over the NAT


def hairpin(world: World) -> Nat:
    return world.nat(snat="203.0.113.7", dnat="10.9.9.9", dnat_port=80, ports="random")


def counters(
    world: World, chain: Chain, gap_ns: int, source: str = FIXED, flows: int = 20 * COUNT
) -> None:
    sent = datagrams(world, source, FIP, COUNT, flows=flows, dport=8125, gap_ns=gap_ns, size=20,
                     constant=True, ids="zero", start_ns=5 * MILLI)  # fmt: skip
    world.run(chain, sent)


def others(world: World, chain: Chain) -> None:
    exchange(world, chain, datagrams(world, FIXED, FIP, 2 * COUNT, flows=4, dport=5000))


def joined(scenario: Scenario) -> tuple[JourneySet, NDArray[np.int64], NDArray[np.int64]]:
    """The journeys of the counters, their packet, and the packet of each hop."""
    found = join(scenario.batch, (), JoinOptions())
    packet = scenario.truth.packet[found.hops["row"]]
    size = scenario.batch.packets["payload_len"][found.hops["row"]]
    first = found.journeys["first_hop"]
    chosen = np.flatnonzero(size[first] == 20)
    return found, chosen, packet


def assert_unmixed(found: JourneySet, packet: NDArray[np.int64]) -> None:
    pairs = np.unique(np.column_stack([found.hops["journey"], packet]), axis=0)
    assert len(pairs) == len(found.journeys)


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_packet_is_the_only_one_that_goes_on_when_it_would(loss: float) -> None:
    world = World(1)
    chain = line(world, 4, {0: hairpin(world)})
    others(world, chain)
    router = next(element for element in chain.elements if isinstance(element, Router))
    router.loss = loss
    counters(world, chain, FAR)
    scenario = world.finish("counters")
    found, chosen, packet = joined(scenario)
    assert_unmixed(found, packet)
    assert len(chosen) == COUNT
    assert not found.journeys["ambiguous"].any()
    lost = scenario.truth.lost_after[packet[found.journeys["first_hop"][chosen]]] >= 0
    assert lost.any() == (loss > 0)
    outcome = found.journeys["outcome"][chosen]
    assert ((outcome == Outcome.VANISHED) == lost).all()
    assert ((outcome == Outcome.DELIVERED) == ~lost).all()
    # Two hosts that send at one moment look the same, so that no number is claimed.
    second = found.journeys["first_hop"][chosen[~lost]] + 1
    assert (found.hops["evidence"][second] == Evidence.SEQUENCE).all()
    assert np.isnan(found.hops["confidence"][second]).all()


def test_of_several_that_may_go_on_there_none_is_chosen_and_none_has_vanished() -> None:
    world = World(1)
    chain = line(world, 4, {0: hairpin(world)})
    others(world, chain)
    counters(world, chain, NEAR)
    found, chosen, packet = joined(world.finish("counters"))
    assert_unmixed(found, packet)
    assert len(chosen) == 2 * COUNT
    assert found.journeys["ambiguous"][chosen].all()
    assert np.count_nonzero(found.journeys["ambiguous"]) == len(chosen)
    assert set(found.journeys["outcome"][chosen]) == {Outcome.UNFINISHED, Outcome.DELIVERED}
    reasons = {found.reasons[number] for number in found.journeys["reason"][chosen]}
    assert "may be 4 packets alike first seen beyond a translation" in reasons
    assert "may be 4 packets alike last seen before a translation" in reasons


def test_where_nothing_else_goes_that_way_none_is_joined_and_none_has_ended() -> None:
    world = World(1)
    chain = dvr(world, hairpin(world))
    counters(world, chain, FAR)
    found, _, packet = joined(world.finish("counters"))
    assert_unmixed(found, packet)
    assert found.journeys["ambiguous"].all()
    inside = found.journeys[found.journeys["n_hops"] == 2]
    assert len(inside) == COUNT
    assert (inside["outcome"] == Outcome.UNFINISHED).all()


def test_equal_packets_that_stay_on_one_side_are_no_others_first_half() -> None:
    world = World(1)
    chain = laptops(world, hairpin(world))
    others(world, chain)
    counters(world, chain, 5 * MILLI, flows=1)
    counters(world, Chain(ends(chain)[0]), 5 * MILLI, "10.77.0.1", flows=1)
    found, _, packet = joined(world.finish("counters"))
    assert_unmixed(found, packet)


@pytest.mark.parametrize("both", [False, True])
def test_an_error_that_quotes_both_sides_says_which_went_on(both: bool) -> None:
    world = World(1)
    nat = hairpin(world) if both else world.nat(snat="203.0.113.7", ports="random")
    chain = line(world, 4, {0: nat})
    others(world, chain)
    sent = datagrams(world, FIXED, FIP, COUNT, flows=20 * COUNT, dport=8125, gap_ns=NEAR, size=20,
                     constant=True, ids="zero")  # fmt: skip
    refused = once(world.run(chain, sent))
    answered = np.arange(COUNT) % 3 > 0
    world.run(chain, errors(world, refused.take(answered), "10.9.9.9" if both else FIP), 1)
    found, chosen, packet = joined(world.finish("counters"))
    assert_unmixed(found, packet)
    whole = found.journeys["n_hops"][chosen] == 4
    told = np.isin(packet[found.journeys["first_hop"][chosen]], refused.meta["packet"][answered])
    assert (whole == told).mean() > 0.95
    assert (found.journeys["ambiguous"][chosen] == ~whole).mean() > 0.95
    assert not (found.journeys["outcome"][chosen] == Outcome.VANISHED).any()
