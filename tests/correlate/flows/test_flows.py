"""Flows of journeys: fragments belong to the flow of the first one of their datagram."""

import numpy as np
import pytest
from scenarios.catalogue import make

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
