"""Names that come from outside, made readable once, before anything is counted or drawn."""

from dataclasses import replace

from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.report.document.safety import visible


def with_visible_names(journey_set: JourneySet) -> JourneySet:
    """Return the set with every character shown that acts on others, in points, captures, reasons.

    A file name that is not UTF-8 has halves of surrogate pairs, which no output can hold.
    """
    batch = journey_set.observations
    batch = replace(
        batch,
        points=tuple(_point(point) for point in batch.points),
        captures=tuple(visible(capture) for capture in batch.captures),
    )
    reasons = tuple(visible(reason) for reason in journey_set.reasons)
    return replace(journey_set, observations=batch, reasons=reasons)


def _point(point: Point) -> Point:
    texts = {
        name: visible(value)
        for name in ("host", "netns", "device", "hook", "clock", "capture")
        if (value := getattr(point, name)) is not None
    }
    return replace(point, **texts)  # type: ignore[arg-type]  # all of them are text
