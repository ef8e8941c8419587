"""Flows of journeys: both ways of one, and fragments, which belong to that of the first one."""

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL, FIXED, snat
from scenarios.scenario import Scenario
from scenarios.traffic import Tcp, datagrams, exchange, pings
from scenarios.world import World

from tracer.core.enums import Kind, Outcome
from tracer.core.segments import segment_events
from tracer.core.ways import REPLY, REQUEST, ways_of
from tracer.correlate.join import join


@pytest.mark.parametrize("name", ["fragments", "ipv6"])
def test_later_fragments_are_in_the_flow_of_the_first(name: str) -> None:
    scenario = make(name, 3, 0.2)
    found = join(scenario.batch)
    first = found.hops["row"][found.journeys["first_hop"]]
    assert (scenario.batch.packets["frag_offset"][first] > 0).sum() > 20
    flow, truth = found.journeys["flow"], scenario.meta["flow"][first]
    for number in np.unique(flow):
        assert len(np.unique(truth[flow == number])) == 1
    for number in np.unique(truth):
        assert len(np.unique(flow[truth == number])) == 1


def no_point_in_common(seed: int, nat: bool, tenants: int = 1) -> Scenario:
    """Return requests that leave by one device of a host, and answers that come by another one."""
    world = World(seed)
    for tenant in range(tenants):
        router = Router(snat(world) if nat else None)  # it translates, and back
        ways = [
            Chain(
                world.point(f"up{tenant}{name}", f"host{tenant}"), Link(),
                world.point(f"in{tenant}{name}", f"router{tenant}{name}"),
                router,
                world.point(f"out{tenant}{name}", f"router{tenant}{name}"),
                Link(150_000, 20_000, loss=0.1), Router(),
                world.point(f"end{tenant}{name}", f"server{tenant}"),
            )
            for name in "ab"
        ]  # fmt: skip
        exchange(world, ways[0], pings(world, FIXED, EXTERNAL, 60), back=ways[1])
        exchange(world, ways[0], datagrams(world, FIXED, EXTERNAL, 60, flows=20), back=ways[1])
        Tcp.open(world, ways[0], 12, src=FIXED, dst=EXTERNAL, back=ways[1]).talk(3)
    return world.finish("no_point_in_common")


@pytest.mark.parametrize("nat", [False, True])
def test_both_ways_are_one_flow_where_no_point_sees_both(nat: bool) -> None:
    scenario = no_point_in_common(3, nat)
    found = join(scenario.batch)
    truth = scenario.truth
    row = found.hops["row"][found.journeys["first_hop"]]
    flow, packet = found.journeys["flow"], truth.packet[row]
    assert len(np.unique(flow)) == len(np.unique(scenario.meta["flow"][row])) > 25
    for number in np.unique(flow):
        assert len(np.unique(scenario.meta["flow"][row[flow == number]])) == 1
    asked = np.flatnonzero(found.journeys["kind"] == Kind.ECHO_REQUEST)
    asked = asked[found.journeys["reply"][asked] >= 0]
    assert len(asked) == (found.journeys["kind"] == Kind.ECHO_REPLY).sum() > 40
    assert (truth.reply_of[packet[found.journeys["reply"][asked]]] == packet[asked]).all()
    vanished = found.journeys["outcome"] == Outcome.VANISHED
    assert vanished.sum() > 20
    assert (truth.lost_after[packet[vanished]] >= 0).all()
    events = segment_events(found)
    assert (events["to_point"] >= 0).all()


def test_equal_tuples_of_two_tenants_are_no_flow_where_no_point_sees_both_ways() -> None:
    scenario = no_point_in_common(4, False, 2)
    found = join(scenario.batch)
    row = found.hops["row"][found.journeys["first_hop"]]
    truth = scenario.meta["flow"][row]
    for number in np.unique(found.journeys["flow"]):
        assert len(np.unique(truth[found.journeys["flow"] == number])) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_flow_whose_first_packet_is_lost_before_nat_has_two_ways(seed: int) -> None:
    world = World(seed)
    carrier = world.nat(snat="203.0.113.77", host="carrier")
    chain = Chain(
        world.point("client", "host0"), Link(loss=0.3), world.point("lan", "router0"),
        Router(snat(world)), world.point("wan", "router0"), Link(100_000, loss=0.2),
        world.point("in", "router1"), Router(carrier), world.point("out", "router1"),
        Link(100_000, 10_000, loss=0.1), world.point("server", "host1"),
    )  # fmt: skip
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 600, flows=40))
    scenario = world.finish("lost_before_nat")
    found = join(scenario.batch)
    packets, journeys = scenario.batch.packets, found.journeys
    first = found.hops["row"][journeys["first_hop"]]
    is_answer = scenario.truth.reply_of[scenario.truth.packet[first]] >= 0
    assert is_answer.sum() > 100
    # Where none got through the first NAT, or none through the second, nothing tells.
    outward = packets["point"][found.hops["row"]] == 4
    known = np.zeros(len(found.flows), np.bool_)
    known[journeys["flow"][found.hops["journey"][outward]]] = True
    told = known[journeys["flow"]]
    assert (ways_of(found)[told] == np.where(is_answer, REPLY, REQUEST)[told]).all()
    opening = np.unique(journeys["flow"], return_index=True)[1]
    assert (journeys["n_hops"][opening] < 3).sum() > 5
    flows = found.flows[known]
    assert (flows["src_lo"] != flows["nat_src_lo"]).all()
    assert len(np.unique(flows["src_lo"])) == 1
