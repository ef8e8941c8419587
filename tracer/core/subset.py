"""Some journeys of a set, as a set of their own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import JourneySet
from tracer.core.rows import Rows
from tracer.core.values import hop_indices

_REFERENCES = ("reply", "request", "retransmission_of", "quotes")


def subset(journey_set: JourneySet, chosen: NDArray[np.integer[Any]]) -> JourneySet:
    """Return the journeys at the given indices, in that order, with their observations alone.

    Journeys that are not chosen are forgotten where others refer to them. Flows, clocks and
    warnings stay whole.
    """
    journeys = journey_set.journeys.take(chosen)
    indices = hop_indices(journeys)
    hops = journey_set.hops.take(indices)
    rows, where = np.unique(hops["row"], return_inverse=True)
    hops["row"] = where
    hops["journey"] = np.repeat(np.arange(len(journeys)), journeys["n_hops"])
    journeys["first_hop"] = np.cumsum(journeys["n_hops"]) - journeys["n_hops"]
    place = _places(len(journey_set.journeys), chosen)
    for name in _REFERENCES:
        journeys[name] = place[journeys[name]]
    return JourneySet(
        journey_set.observations.take(rows),
        hops,
        journeys,
        journey_set.flows,
        journey_set.clocks,
        reasons=journey_set.reasons,
        warnings=journey_set.warnings,
        first_journey=journey_set.first_journey,
        nat_rules=journey_set.nat_rules,
    )


def _places(count: int, chosen: NDArray[np.integer[Any]]) -> Rows:
    # One more than there are, so that -1 (none) stays -1.
    place = np.full(count + 1, -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    return place
