"""Captures of ARP alone whose clocks differ, against the truth of simulated networks."""

from typing import Any

import numpy as np
import pytest
from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.elements import Chain, Link
from scenarios.scenario import Scenario
from scenarios.scoring import score
from scenarios.special import arp_replies, arp_requests
from scenarios.traffic import once
from scenarios.world import World

from tracer.correlate.join import join

QUESTIONS, HOSTS = 20, 3


def _asked(
    offset_s: float, jitter: float, answered: bool = True, hosts: int = 2, told: bool = True
) -> Scenario:
    # Hosts that ask each second, but for some jitter; each device's clock is ahead of the last.
    world = World(1, told)
    chain = Chain(world.point("eth0", "host0"))
    for number in range(1, hosts):
        chain = Chain(*chain.elements, Link(50_000, 5_000))
        chain = Chain(*chain.elements, world.point(f"eth{number}", f"host{number}"))
    for number, name in enumerate(world.clocks):
        world.clocks[name] = Clock(int(number * offset_s * SECOND), noise_ns=1_000)
    for host in range(HOSTS):
        asked = arp_requests(
            world, 0x020000000100 + host, f"10.0.0.{10 + host}", f"10.0.0.{100 + host}",
            QUESTIONS, SECOND,
        )  # fmt: skip
        late = np.sort(np.arange(QUESTIONS) + jitter * world.rng.standard_normal(QUESTIONS))
        asked.meta["true_ns"] = EPOCH + ((late + 0.037 * host) * SECOND).astype(np.int64)
        arrived = once(chain.cross(world, asked, 0))
        if answered:
            chain.cross(world, arp_replies(world, arrived, 0x020000000200 + host), 1)
    return world.finish("arp")


@pytest.mark.parametrize("offset_s", [-1.5, 0, 0.3, 2.0, 7.7])
@pytest.mark.parametrize(
    "how",
    [{"jitter": 0.1}, {"jitter": 0.002}, {"jitter": 0.1, "answered": False},
     {"jitter": 0.1, "hosts": 3}, {"jitter": 0.1, "told": False}],
)  # fmt: skip
def test_the_rhythm_of_questions_tells_what_clocks_are_off_by(
    offset_s: float, how: dict[str, Any]
) -> None:
    scenario = _asked(offset_s, **how)
    result = join(scenario.batch)
    found = score(scenario, result)
    assert (found.precision, found.recall) == (1, 1)
    assert not result.journeys["ambiguous"].any()
    assert found.clock_error_ns < 1_000_000 or abs(offset_s) < 0.4


def test_answers_bound_the_offset() -> None:
    scenario = _asked(2.3, 0.1)
    assert score(scenario, join(scenario.batch)).clock_beyond == 0
    clocks = sorted(join(scenario.batch).clocks, key=lambda clock: clock.clock)
    assert clocks[1].offset_ns == pytest.approx(-2_300_000_000, abs=100_000)
    assert clocks[1].uncertainty_ns is not None


def test_hosts_that_ask_in_step_are_ambiguous_where_stamps_disagree() -> None:
    scenario = _asked(2.3, 0)
    result = join(scenario.batch)
    assert result.journeys["ambiguous"].all()
    joined = result.hops["parent"] > 0
    assert (result.hops["candidates"][joined] > 1).all()
    assert np.isnan(result.hops["confidence"][joined]).all()


def test_stamps_that_agree_are_believed_of_hosts_that_ask_in_step() -> None:
    scenario = _asked(0, 0)
    result = join(scenario.batch)
    assert score(scenario, result).precision == 1
    assert not result.journeys["ambiguous"].any()
