"""A journey set is usable empty."""

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import HOP_DTYPE, JOURNEY_DTYPE, JourneySet


def test_an_empty_set() -> None:
    empty = JourneySet(ObservationBatch())
    assert (len(empty.hops), len(empty.journeys)) == (0, 0)
    assert (empty.hops.dtype, empty.journeys.dtype) == (HOP_DTYPE, JOURNEY_DTYPE)
