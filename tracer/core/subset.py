"""Some journeys of a set, as a set of their own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import JourneySet
from tracer.core.rows import Rows
from tracer.core.schema import StructuredArray
from tracer.core.values import hop_indices

_REFERENCES = ("reply", "request", "retransmission_of", "quotes")


def subset(journey_set: JourneySet, chosen: NDArray[np.integer[Any]]) -> JourneySet:
    """Return the journeys at the given indices, in that order, with their observations alone.

    Journeys that are not chosen are forgotten where others refer to them. Flows, clocks and
    warnings stay whole.
    """
    found = chosen_of(journey_set, chosen)
    used = np.zeros(len(journey_set.observations), np.bool_)
    used[found.hops["row"]] = True
    found.hops["row"] = (np.cumsum(used) - 1)[found.hops["row"]]
    found.observations = journey_set.observations.take(np.flatnonzero(used))
    return found


def chosen_of(
    journey_set: JourneySet, chosen: NDArray[np.integer[Any]], hops: StructuredArray | None = None
) -> JourneySet:
    """Return `subset` with the observations of all journeys; `hops` are theirs, if made already."""
    journeys = journey_set.journeys.take(chosen)
    if hops is None:
        hops = journey_set.hops.take(hop_indices(journeys))
        hops["journey"] = np.repeat(np.arange(len(journeys)), journeys["n_hops"])
    journeys["first_hop"] = np.cumsum(journeys["n_hops"]) - journeys["n_hops"]
    place = _places(len(journey_set.journeys), chosen)
    for name in _REFERENCES:
        journeys[name] = place[journeys[name]]
    unseen = _of_journeys(journey_set.unseen, place)
    events = None if journey_set.events is None else _of_journeys(journey_set.events, place)
    return JourneySet(
        journey_set.observations,
        hops,
        journeys,
        journey_set.flows,
        journey_set.clocks,
        reasons=journey_set.reasons,
        warnings=journey_set.warnings,
        first_journey=journey_set.first_journey,
        nat_rules=journey_set.nat_rules,
        numbers=None if journey_set.numbers is None else journey_set.numbers.take(chosen),
        unseen=unseen,
        events=events,
        gone=_of_journeys(journey_set.gone, place),
    )


def _of_journeys(records: StructuredArray, place: Rows) -> StructuredArray:
    kept = records.compress(place[records["journey"]] >= 0)
    kept["journey"] = place[kept["journey"]]
    return kept


def _places(count: int, chosen: NDArray[np.integer[Any]]) -> Rows:
    # One more than there are, so that -1 (none) stays -1.
    place = np.full(count + 1, -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    return place
