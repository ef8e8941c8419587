"""The figures of a report as JSON values: what the page shows, for programs."""

import math
from dataclasses import asdict
from typing import Any

from tracer.core.journeys import JourneySet
from tracer.report.document.names import with_visible_names
from tracer.report.document.origin import Origin
from tracer.report.document.sentences import what_happened
from tracer.report.segment_table import segment_table
from tracer.report.statistics.comparison import Comparison, comparison_of
from tracer.report.statistics.figures import Figures, figures_of
from tracer.report.statistics.places import Place
from tracer.report.statistics.quantiles import QUANTILES, bin_edges_ns
from tracer.report.statistics.segments import Segment
from tracer.report.statistics.translations import Translation
from tracer.report.summary import summary_of

SCHEMA = 1


def figures_json(
    journey_set: JourneySet,
    origin: Origin,
    title: str | None = None,
    before: JourneySet | None = None,
) -> dict[str, Any]:
    """Return the figures as JSON values; times are in ns, what is not known is null.

    Points are named by host, namespace and device with slashes. Keys are added, never renamed
    within a schema number.
    """
    journey_set = with_visible_names(journey_set)
    figures = figures_of(journey_set)
    value = {
        "schema": SCHEMA,
        "title": title,
        "sentences": [sentence for sentence in what_happened(journey_set, figures) if sentence],
        "summary": summary_of(journey_set),
        "points": [_place(place) for place in figures.places.places],
        "quantiles": list(QUANTILES),
        "histogram_edges_ns": bin_edges_ns().tolist(),
        "segments": [_segment(segment, figures) for segment in figures.segments],
        "stops": [
            {"at": _label(figures, at), "outcome": outcome, "reason": reason, "journeys": number}
            for (at, outcome, reason), number in figures.stops.items()
        ],
        "translations": [_translation(each, figures) for each in figures.translations],
        "flows": [asdict(flow) for flow in figures.flows],
        "flow_segments": segment_table(figures.flow_segments, journey_set.flows).to_pylist(),
        "timeline": asdict(figures.timeline) if figures.timeline else None,
        "evidence": figures.evidence,
        "comparison": None
        if before is None
        else _comparison(comparison_of(with_visible_names(before), journey_set)),
        "origin": asdict(origin),
    }
    return {key: _known(each) for key, each in value.items()}


def _place(place: Place) -> dict[str, Any]:
    return {"label": place.label, **asdict(place)}


def _label(figures: Figures, at: int) -> str | None:
    return figures.places.places[at].label if at >= 0 else None


def _segment(segment: Segment, figures: Figures) -> dict[str, Any]:
    return asdict(segment) | {
        "origin": _label(figures, segment.origin),
        "target": _label(figures, segment.target),
        "loss": segment.loss,
    }


def _translation(translation: Translation, figures: Figures) -> dict[str, Any]:
    return asdict(translation) | {
        "origin": _label(figures, translation.origin),
        "target": _label(figures, translation.target),
        "rules": [
            {"rule": rule.text, "chains": rule.chains, "host": rule.host, "netns": rule.netns}
            for rule in translation.rules
        ],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    value = asdict(comparison)
    for pair in value["segments"]:
        for side in ("before", "now"):
            if pair[side] is not None:  # numbers of points differ between the two: the name tells
                pair[side] = {
                    key: each
                    for key, each in pair[side].items()
                    if key not in ("origin", "target", "histogram")
                }
    return value


def _known(value: Any) -> Any:
    # JSON has no nan.
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _known(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_known(each) for each in value]
    return value
