"""Journeys as a tree a person reads: an exchange, its packets, a line a hop, the outcome last."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.exchanges import exchange_order
from tracer.core.hop import Hop
from tracer.core.journey import Journey
from tracer.core.journeys import FlowPath, JourneySet
from tracer.core.values import hop_indices, journeys_of
from tracer.report.flow_text import flow_path_text, path_rows
from tracer.report.hop_text import hop_tokens
from tracer.report.layout import Layout, lines_of
from tracer.report.line import Line
from tracer.report.words import (
    clock_time,
    date,
    microseconds,
    outcome_words,
    packet_details,
    packet_title,
)

_OUTCOME_STYLE = {"delivered": "green", "dropped": "bold red", "vanished": "bold red"}
_AT_ONCE = 256  # exchanges whose values are made together


Chosen = NDArray[np.integer[Any]]


def text_of(journey_set: JourneySet, width: int, chosen: Chosen | None = None) -> Iterator[Line]:
    """Yield the lines of the chosen journeys (all by default), flow paths first where there are.

    A flow path is shown when it holds a packet of a chosen journey, and its packets only there.
    """
    numbers = np.arange(len(journey_set.journeys)) if chosen is None else np.asarray(chosen)
    if journey_set.flow_paths:
        rows = journey_set.hops["row"][hop_indices(journey_set.journeys[numbers])]
        paths = [path for path in journey_set.flow_paths if np.isin(path_rows(path), rows).any()]
        yield from flow_path_text(paths, journey_set.observations.points, width)
        numbers = _without(journey_set, numbers, paths)
    yield from journey_text(journey_set, width, numbers)


def _without(journey_set: JourneySet, numbers: Chosen, paths: Sequence[FlowPath]) -> Chosen:
    first_rows = journey_set.hops["row"][journey_set.journeys["first_hop"][numbers]]
    covered = np.concatenate([np.zeros(0, np.int64), *(path_rows(path) for path in paths)])
    single = journey_set.journeys["n_hops"][numbers] == 1
    rest: Chosen = numbers[~(single & np.isin(first_rows, covered))]
    return rest


def journey_text(
    journey_set: JourneySet, width: int, chosen: Chosen | None = None
) -> Iterator[Line]:
    """Yield the lines of the chosen journeys (all by default), exchange by exchange in time order.

    A line with the date comes before the first exchange of each day (UTC).
    """
    layout = Layout.of(journey_set.observations.points, width)
    exchanges = exchange_order(journey_set, chosen)
    day = None
    for start in range(0, len(exchanges), _AT_ONCE):
        group = exchanges[start : start + _AT_ONCE]
        journeys = iter(journeys_of(journey_set, np.concatenate(group)))
        for exchange in group:
            members = [next(journeys) for _ in exchange]
            day, before = date(members[0].first_ns), day
            if day != before and day is not None:
                yield Line(f"{day} UTC", "dim")
            yield from exchange_lines(members, layout)
            yield Line()


def exchange_lines(journeys: Sequence[Journey], layout: Layout) -> Iterator[Line]:
    """Yield the lines of one exchange: its first packet, then what answers it or tells about it."""
    by_number = {journey.journey: journey for journey in journeys}
    for place, journey in enumerate(journeys):
        yield from _title(journey, layout, is_first=place == 0)
        for hop in journey.hops:
            yield from hop_lines(hop, layout)
        yield from _outcome(journey, by_number.get(journey.reply or 0), layout)


def hop_lines(hop: Hop, layout: Layout) -> list[Line]:
    """Return a hop's line, and those it goes on with: number, time, place, TTL, what changed."""
    direction = hop.direction or hop.observation.direction
    line = layout.start(hop.n, _time(hop), hop.point, direction)
    return lines_of(line, hop_tokens(hop), layout.width, layout.place_start + 2)


def _time(hop: Hop) -> str:
    if hop.parent == 0:
        return clock_time(hop.time_ns)
    if hop.delta_ns is None:
        return "?"
    return f"{'+' if hop.delta_ns >= 0 else ''}{microseconds(hop.delta_ns)}"


def _title(journey: Journey, layout: Layout, *, is_first: bool) -> list[Line]:
    prefix = (
        Line(f"#{journey.journey} ", "dim") if is_first else Line(f"  #{journey.journey} ", "dim")
    )
    prefix.append(packet_title(journey), "bold")
    details = " ".join(packet_details(journey.hops[0].observation))
    tokens = [Line(details)] if details else []
    if journey.retransmission_of is not None:
        tokens.append(Line(f"retransmission of #{journey.retransmission_of}", "yellow"))
    if journey.duplicates:
        plural = "" if journey.duplicates == 1 else "s"
        tokens.append(Line(f"{journey.duplicates} duplicate{plural}", "yellow"))
    if journey.ambiguous:
        tokens.append(Line("ambiguous", "yellow"))
    return lines_of(prefix, tokens, layout.width, 6)


def _outcome(journey: Journey, reply: Journey | None, layout: Layout) -> list[Line]:
    style = _OUTCOME_STYLE.get(journey.outcome, "yellow")
    line = Line(" " * 4).append(outcome_words(journey), style)
    tokens = []
    if (rtt := round_trip(journey, reply)) is not None:
        duration, where = rtt
        tokens.append(Line(f"answered after {microseconds(duration)} (RTT at {where})", "green"))
    elif journey.reply is not None:
        tokens.append(Line(f"answered by #{journey.reply}", "green"))
    return lines_of(line, tokens, layout.width, 6)


def round_trip(request: Journey, reply: Journey | None) -> tuple[int, str] | None:
    """Return (ns, device) from a request to its reply at the first point that saw both, or None."""
    back = {_device(hop): hop.time_ns for hop in (reply.hops if reply else ())}
    for hop in request.hops:
        device = _device(hop)
        if device in back:
            answered_ns = back[device]
            if answered_ns is None or hop.time_ns is None:
                return None
            return answered_ns - hop.time_ns, device[2]
    return None


def _device(hop: Hop) -> tuple[str | None, str | None, str]:
    point = hop.point
    return point.host, point.netns, point.name
