"""Journeys as a tree a person reads: an exchange, its packets, a line a hop, the outcome last."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from tracer.core.exchanges import exchange_order
from tracer.core.hop import Hop
from tracer.core.journey import Journey
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.core.values import journeys_of
from tracer.report.hop_text import hop_tokens
from tracer.report.layout import TIME_WIDTH, Layout, lines_of
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


def journey_text(
    journey_set: JourneySet,
    width: int,
    chosen: NDArray[np.integer[Any]] | None = None,
) -> Iterator[Text]:
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
                yield Text(f"{day} UTC", "dim")
            yield from exchange_lines(members, layout)
            yield Text()


def exchange_lines(journeys: Sequence[Journey], layout: Layout) -> Iterator[Text]:
    """Yield the lines of one exchange: its first packet, then what answers it or tells about it."""
    by_number = {journey.journey: journey for journey in journeys}
    for place, journey in enumerate(journeys):
        yield from _title(journey, layout, is_first=place == 0)
        for hop in journey.hops:
            yield from hop_lines(hop, layout)
        yield from _outcome(journey, by_number.get(journey.reply or 0), layout)


def hop_lines(hop: Hop, layout: Layout) -> list[Text]:
    """Return a hop's line, and those it goes on with: number, time, place, TTL, what changed."""
    seen = hop.observation
    point = Point(seen.host, seen.netns, seen.device, hook=seen.hook, capture=seen.capture)
    line = Text(f"{hop.n:>3} ", "dim")
    if hop.delta_ns is not None:
        line.append(
            f"{'+' if hop.delta_ns >= 0 else ''}{microseconds(hop.delta_ns)}".rjust(TIME_WIDTH)
        )
    else:
        line.append((clock_time(hop.time_ns) if hop.parent == 0 else "?").rjust(TIME_WIDTH))
    line.append("  ").append_text(layout.place(point, hop.direction or seen.direction))
    return lines_of(line, hop_tokens(hop), layout.width, layout.place_start + 2)


def _title(journey: Journey, layout: Layout, *, is_first: bool) -> list[Text]:
    prefix = (
        Text(f"#{journey.journey} ", "dim") if is_first else Text(f"  #{journey.journey} ", "dim")
    )
    prefix.append(packet_title(journey), "bold")
    details = " ".join(packet_details(journey.hops[0].observation))
    tokens = [Text(details)] if details else []
    if journey.retransmission_of is not None:
        tokens.append(Text(f"retransmission of #{journey.retransmission_of}", "yellow"))
    if journey.duplicates:
        tokens.append(Text(f"{journey.duplicates} duplicates", "yellow"))
    if journey.ambiguous:
        tokens.append(Text("ambiguous", "yellow"))
    return lines_of(prefix, tokens, layout.width, 6)


def _outcome(journey: Journey, reply: Journey | None, layout: Layout) -> list[Text]:
    style = _OUTCOME_STYLE.get(journey.outcome, "yellow")
    line = Text(" " * 4).append(outcome_words(journey), style)
    tokens = []
    if (rtt := round_trip(journey, reply)) is not None:
        duration, where = rtt
        tokens.append(Text(f"answered after {microseconds(duration)} (RTT at {where})", "green"))
    elif journey.reply is not None:
        tokens.append(Text(f"answered by #{journey.reply}", "green"))
    return lines_of(line, tokens, layout.width, 6)


def round_trip(request: Journey, reply: Journey | None) -> tuple[int, str] | None:
    """Return (ns, device) from a request to its reply at the first point that saw both, or None."""
    back = {_device(hop): hop.time_ns for hop in (reply.hops if reply else ())}
    for hop in request.hops:
        if (device := _device(hop)) in back:
            return back[device] - hop.time_ns, device[2] or "?"
    return None


def _device(hop: Hop) -> tuple[str | None, str | None, str | None]:
    seen = hop.observation
    return seen.host, seen.netns, seen.device or seen.hook or seen.capture
