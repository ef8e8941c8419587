"""Every scenario of the catalogue, judged against its truth."""

import pytest
from scenarios.catalogue import SCENARIOS, make
from scenarios.scoring import score

from tracer.correlate.join import JoinOptions, join


@pytest.mark.parametrize("name", SCENARIOS)
def test_journeys_are_as_right_as_required(name: str) -> None:
    scenario = make(name, seed=7, scale=0.4)
    found = score(scenario, join(scenario.batch, scenario.conntrack, JoinOptions()))
    assert found.problems == ()
