"""Two situations: made equal but for one thing, that thing is what is told."""

import numpy as np
from made import floating_ip

from tracer.core.enums import Outcome
from tracer.core.journeys import FLOW_DTYPE, JourneySet
from tracer.report.statistics.comparison import comparison_of


def situation(address: str = "100.122.0.145") -> JourneySet:
    """One exchange as a set whose flow is told, translated to the address."""
    journey_set = floating_ip()
    flows = np.zeros(1, FLOW_DTYPE)
    for name in ("sport", "dport", "nat_sport", "nat_dport"):
        flows[name] = -1
    flows["proto"], flows["icmp_id"], flows["nat_icmp_id"] = 1, 22344, 36215
    ends = {"src": "192.168.3.69", "dst": "100.121.0.75", "nat_src": address,
            "nat_dst": "100.121.0.75"}  # fmt: skip
    for name, text in ends.items():
        parts = [int(part) for part in text.split(".")]
        flows[f"{name}_lo"] = 0xFFFF_0000_0000 | int.from_bytes(bytes(parts))
    journey_set.flows = flows
    return journey_set


def test_nothing_changed() -> None:
    found = comparison_of(situation(), situation())
    assert (found.new, found.gone, found.rerouted, found.retranslated) == ((), (), (), ())
    assert {pair.verdict for pair in found.segments} == {""}
    assert found.outcomes == (("delivered", 2, 2),)


def test_a_changed_translation() -> None:
    ((before, now),) = comparison_of(situation(), situation("100.122.0.9")).retranslated
    assert before.translated == ("100.122.0.145 → 100.121.0.75",)
    assert now.translated == ("100.122.0.9 → 100.121.0.75",)


def test_a_loss_and_a_shorter_path() -> None:
    now = situation()
    now.journeys["n_hops"][0] = 3
    now.journeys["outcome"][0], now.journeys["outcome_point"][0] = Outcome.VANISHED, 2
    now.journeys["reply"] = -1
    now.hops = now.hops[now.hops["n"] * (now.hops["journey"] == 0) <= 3]
    now.journeys["first_hop"][1] = 3
    found = comparison_of(situation(), now)
    assert [pair.verdict for pair in found.segments if pair.verdict]
    ((before, after),) = found.rerouted
    assert len(before.way) == 6
    assert after.way == before.way[:3]
    assert found.outcomes == (("delivered", 2, 1), ("vanished", 0, 1))


def test_new_and_gone_flows() -> None:
    empty = situation()
    empty.journeys["flow"] = -1
    assert [each.packets for each in comparison_of(empty, situation()).new] == [2]
    assert [each.packets for each in comparison_of(situation(), empty).gone] == [2]
