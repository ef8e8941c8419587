"""Journeys and flows as the page's own tables hold them: columns of numbers and short lists.

Every journey that is kept opens to its hops: where (its shape), when (`deltas`), on what evidence.
Those kept whole, the examples, open to everything that was seen of each hop as well.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import LOST, Cause, Evidence, Kind, Outcome
from tracer.core.journeys import NO_TIME, UNTIMED, JourneySet, untimed
from tracer.core.rows import Rows
from tracer.core.values import hop_indices, journeys_of
from tracer.core.ways import REPLY
from tracer.report.jsonl import journey_lines
from tracer.report.statistics.figures import Figures
from tracer.report.statistics.flows import FlowFigures
from tracer.report.statistics.places import hop_places, place_of
from tracer.report.words import packet_title

MOST_JOURNEYS, MOST_HOPS, MOST_FLOWS = 100_000, 1_000_000, 10_000
MOST_SHAPES, MOST_EXAMPLE_HOPS = 2_000, 6_000
MOST_FLOW_SEGMENTS = 20_000
_LEFT_OUT = ("n", "changes", "join", "time_ns", "delta_ns", "parent", "cause", "role")


@dataclass(frozen=True, slots=True)
class Kept:
    """Which journeys the page lists, and which of them it holds whole, as indices, ascending."""

    journeys: NDArray[np.int64]
    examples: NDArray[np.int64]


def kept_journeys(journey_set: JourneySet, figures: Figures) -> Kept:
    """Return the journeys to keep: all, or what is odd first and then evenly over time."""
    count = len(journey_set.journeys)
    order = _by_interest(journey_set, figures)
    listed = np.arange(count)
    most = min(MOST_JOURNEYS, MOST_HOPS * count // max(1, len(journey_set.hops)))
    if count > most:
        odd = order[: most // 2]
        rest = np.setdiff1d(listed, odd)
        even = rest[np.linspace(0, len(rest) - 1, most - len(odd)).astype(np.int64)]
        listed = np.union1d(odd, even)
    hops = np.cumsum(journey_set.journeys["n_hops"][order])
    examples = order[: int(np.searchsorted(hops, MOST_EXAMPLE_HOPS, "right"))]
    return Kept(listed, np.intersect1d(examples, listed))


def _by_interest(journey_set: JourneySet, figures: Figures) -> NDArray[np.int64]:
    # Lost and ambiguous ones, the first of each shape and flow, the slowest; then all, in order.
    # Whatever is interesting brings the journey that it answers, or that answers it.
    journeys = journey_set.journeys
    odd = np.flatnonzero(np.isin(journeys["outcome"], LOST) | (journeys["ambiguous"] > 0))
    _, first_of_flow = np.unique(journeys["flow"], return_index=True)
    slowest = np.argsort(journeys["first_ns"] - journeys["last_ns"], kind="stable")[:100]
    half = MOST_EXAMPLE_HOPS // 2 * len(journeys) // max(1, len(journey_set.hops)) + 1
    chosen = np.concatenate(
        [figures.shapes.example[:200], odd[:half], slowest, first_of_flow, np.arange(len(journeys))]
    )
    partners = np.stack([chosen, journeys["request"][chosen], journeys["reply"][chosen]], axis=1)
    flat = partners.ravel()
    flat = flat[flat >= 0]
    _, first = np.unique(flat, return_index=True)
    found: NDArray[np.int64] = flat[np.sort(first)].astype(np.int64)
    return found


def journey_data(journey_set: JourneySet, figures: Figures, kept: Kept) -> dict[str, Any]:
    """Return the JSON value behind the table of journeys."""
    journeys = journey_set.journeys[kept.journeys]
    first = journey_set.first_journey
    timed = journey_set.journeys["first_ns"][journey_set.journeys["first_ns"] != UNTIMED]
    base = int(timed.min()) if len(timed) else 0
    shapes = figures.shapes.of_journey[kept.journeys]
    return {
        "places": [
            [place.host or "", place.short_netns or "", place.name, place.role or ""]
            for place in figures.places.places
        ],
        "outcomes": {str(word.value): word.label for word in Outcome},
        "kinds": {str(word.value): word.label for word in Kind},
        "causes": {str(word.value): word.label for word in Cause},
        "evidence": {str(word.value): word.label for word in Evidence},
        "reasons": list(journey_set.reasons),
        "base_ns": str(base),
        "number": (kept.journeys + first).tolist(),
        "flow": journeys["flow"].tolist(),
        "kind": journeys["kind"].tolist(),
        "begin": _known(journeys["first_ns"] - base, journeys["first_ns"] == UNTIMED),
        "took": _known(journeys["last_ns"] - journeys["first_ns"], untimed(journeys)),
        "outcome": journeys["outcome"].tolist(),
        "at": figures.places.of_point[journeys["outcome_point"]].tolist(),
        "reason": journeys["reason"].tolist(),
        "reply": _references(journeys["reply"], first),
        "request": _references(journeys["request"], first),
        "ambiguous": np.flatnonzero(journeys["ambiguous"] > 0).tolist(),
        "shape": np.where(shapes < MOST_SHAPES, shapes, -1).tolist(),
        "shapes": _shapes(journey_set, figures),
        **_deltas(journey_set, journeys),
        "examples": _examples(journey_set, kept.examples),
    }


def _known(values: NDArray[np.int64], unknown: NDArray[np.bool_]) -> list[int | None]:
    missing = unknown.tolist()
    return [None if no else value for value, no in zip(values.tolist(), missing, strict=True)]


def _references(indices: NDArray[Any], first: int) -> list[int]:
    found: list[int] = np.where(indices >= 0, indices + first, 0).tolist()
    return found


def _shapes(journey_set: JourneySet, figures: Figures) -> list[list[list[int]]]:
    at = hop_places(journey_set, figures.places)
    shapes = []
    for example in figures.shapes.example[:MOST_SHAPES].tolist():
        record = journey_set.journeys[example]
        hops = slice(record["first_hop"], record["first_hop"] + record["n_hops"])
        rows = journey_set.hops[hops]
        columns = (at[hops], rows["direction"], rows["cause"], rows["evidence"], rows["parent"])
        shapes.append(np.stack(columns, axis=1).tolist())
    return shapes


def _deltas(journey_set: JourneySet, journeys: NDArray[Any]) -> dict[str, Any]:
    # Steps only: the first hop of a journey has none. In µs where every stamp is a whole one.
    hops = journey_set.hops[hop_indices(journeys)]
    delta = hops["delta_ns"][hops["n"] > 1]
    known = delta != NO_TIME
    unit = 1000 if not np.any(delta[known] % 1000) else 1
    values: list[int | None] = (delta // unit).tolist()
    for at in np.flatnonzero(~known).tolist():
        values[at] = None
    return {"delta_unit_ns": unit, "deltas": values}


def _examples(journey_set: JourneySet, examples: NDArray[np.int64]) -> dict[str, list[Any]]:
    # Per hop: its changes, what its join rests on, and all else that is known.
    found = {}
    for part in journey_lines(journey_set, examples):
        for line in part.splitlines():
            journey = json.loads(line)
            found[str(journey["journey"])] = [
                [
                    [[c["field"], c["from"], c["to"], c["cause"]] for c in hop["changes"]],
                    [hop["join"]["candidates"], hop["join"]["confidence"]] if hop["join"] else None,
                    {
                        key: value
                        for key, value in hop.items()
                        if value is not None and key not in _LEFT_OUT
                    },
                ]
                for hop in journey["hops"]
            ]
    return found


def flow_data(journey_set: JourneySet, figures: Figures) -> list[list[Any]]:
    """Return a row each flow: number, protocol, original, translated, journeys, lost, ambiguous,
    first, last (ns as text or null), transit and answer times (p50, p99 in ns or null).
    """
    flows = sorted(figures.flows, key=lambda flow: (-flow.lost, -flow.journeys))[:MOST_FLOWS]
    titles = _titles(journey_set, flows)
    return [
        [
            flow.flow, flow.proto or "", titles.get(flow.flow, flow.original.words),
            flow.translated.words if flow.translated else "", flow.journeys, flow.lost,
            flow.ambiguous, _text(flow.first_ns), _text(flow.last_ns), *_pair(flow.transit_ns),
            *_pair(flow.rtt_ns),
        ]
        for flow in flows
    ]  # fmt: skip


def flow_segment_data(figures: Figures, rows: list[list[Any]]) -> dict[str, list[list[Any]]]:
    """Return the segments of the flows in `flow_data`'s rows by flow, as many as the page may hold.

    Of each: places (-1 unknown), whether it is the way back, packets, lost, sent again, overtaken,
    not captured, p50 and p99 in ns or null.
    """
    found = figures.flow_segments.table()
    places = [figures.places.places.index(place_of(p)) for p in figures.flow_segments.points]
    of_point = np.array([*places, -1])
    columns = [of_point[found["from_point"]], of_point[found["to_point"]], found["way"] == REPLY]
    columns += [found[name] for name in ("packets", "lost", "resent", "reordered", "missed")]
    lists = [column.astype(np.int64).tolist() for column in columns]
    for name in ("p50_ns", "p99_ns"):
        lists.append([None if value == NO_TIME else value for value in found[name].tolist()])
    numbers = [row[0] - 1 for row in rows]
    begins = np.searchsorted(found["flow"], numbers)
    ends = np.searchsorted(found["flow"], numbers, "right")
    kept = np.cumsum(ends - begins) <= MOST_FLOW_SEGMENTS
    return {
        str(number + 1): [[values[at] for values in lists] for at in range(begin, end)]
        for number, begin, end in zip(
            numbers[: int(kept.sum())], begins.tolist(), ends.tolist(), strict=False
        )
    }


def _text(time_ns: int | None) -> str | None:
    return None if time_ns is None else str(time_ns)


def _pair(values: tuple[float, float]) -> list[int | None]:
    return [None if np.isnan(value) else int(value) for value in values]


def _titles(journey_set: JourneySet, flows: list[FlowFigures]) -> dict[int, str]:
    # What has no addresses is called by its first packet: who asks whom (ARP), or by its MACs.
    nameless = [flow.flow for flow in flows if flow.original.src is None]
    if not nameless:
        return {}
    numbers, index = np.unique(journey_set.journeys["flow"], return_index=True)
    first = dict(zip(numbers.tolist(), index.tolist(), strict=True))
    chosen: Rows = np.array([first[number - 1] for number in nameless], np.int64)
    return {
        number: packet_title(journey)
        for number, journey in zip(nameless, journeys_of(journey_set, chosen), strict=True)
    }
