"""The three sentences of a report, on journeys that were made."""

import numpy as np
from scenarios.catalogue import make

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.core.segments import segment_events
from tracer.correlate.join import join
from tracer.report.document.sentences import what_happened
from tracer.report.statistics.figures import figures_of


def said(journey_set: JourneySet) -> list[str]:
    return what_happened(journey_set, figures_of(journey_set))


def test_what_does_not_say_why_is_no_reason() -> None:
    found = join(make("loss", 3).batch)
    assert "no answer seen" in found.reasons
    assert "reason most often given" not in said(found)[1]


def test_a_reason_says_of_how_many() -> None:
    found = join(make("loss", 3).batch)
    lost = (found.journeys["outcome"] == Outcome.VANISHED).nonzero()[0]
    found.reasons = (*found.reasons, "rule 7")
    found.journeys["reason"][lost[:3]] = len(found.reasons) - 1
    assert said(found)[1].endswith(f"the reason most often given is “rule 7” (3 of {len(lost)}).")


def test_lost_segments_are_not_called_packets() -> None:
    found = join(make("loss", 3).batch)
    lost = int((found.journeys["outcome"] == Outcome.VANISHED).sum())
    assert f"The {lost} lost packets stopped" in said(found)[1]
    found.events = np.repeat(segment_events(found), 2)
    assert f"The {2 * lost} lost packets and segments of packets stopped" in said(found)[1]
