"""An exchange as a ladder: a line a place, an arrow a step, every change beside its step."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tracer.core.hop import Hop
from tracer.core.journey import Journey
from tracer.report.document.svg import Element, add, drawing, fitted, markup
from tracer.report.document.units import duration
from tracer.report.hop_text import hop_tokens
from tracer.report.roles import own_netns, short_netns
from tracer.report.words import clock_time, outcome_words, packet_details, packet_title

_PITCH, _ROW, _LINE, _LEFT, _HEAD = 108, 30, 14, 92, 74
_ROOM = 62  # characters of a line of changes
_LEAST = 1180  # width, so that changes have room beside few rails
_LOST = ("dropped", "vanished")
_Column = tuple[str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class _Row:
    journey: Journey
    hop: Hop | None  # None: the journey's title or its outcome
    lines: tuple[str, ...]


def ladder(exchange: Sequence[Journey], name: str) -> Markup:
    """Return the ladder of a journey and what answers it; `name` makes the element's id."""
    columns = _columns(exchange)
    rows = [row for journey in exchange for row in _rows(journey)]
    height = _HEAD + sum(_height(row) for row in rows) + 10
    width = max(_LEAST, _LEFT + _PITCH * len(columns) + 6)
    title = packet_title(exchange[0])
    svg = drawing(width, height, f"Ladder of {title}", _description(exchange), name)
    for at, column in enumerate(columns):
        _rail(svg, at, column, height)
    _bands(svg, columns)
    y = float(_HEAD)
    start = exchange[0].first_ns
    for row in rows:
        _draw(svg, row, columns, y, start, width)
        y += _height(row)
    return markup(svg)


def _columns(exchange: Sequence[Journey]) -> list[_Column]:
    columns: list[_Column] = []
    for journey in exchange:
        hops = journey.hops if not columns else journey.hops[::-1]
        place = len(columns)
        for hop in hops:
            column = _column(hop)
            if column in columns:
                place = columns.index(column) + 1
            else:
                columns.insert(place, column)
                place += 1
    return columns


def _column(hop: Hop) -> _Column:
    return hop.point.host, short_netns(own_netns(hop.point)), hop.point.name


def _rows(journey: Journey) -> list[_Row]:
    details = " ".join(packet_details(journey.hops[0].observation)) if journey.hops else ""
    head = f"#{journey.journey} {packet_title(journey)} {details}".strip()
    hops = [_Row(journey, hop, tuple(_wrapped(hop))) for hop in journey.hops]
    return [_Row(journey, None, (head,)), *hops, _Row(journey, None, (outcome_words(journey),))]


def _wrapped(hop: Hop) -> list[str]:
    lines = [""]
    for token in hop_tokens(hop):
        word = token.plain.strip()
        if lines[-1] and len(lines[-1]) + len(word) + 3 > _ROOM:
            lines.append("")
        lines[-1] += f"   {word}" if lines[-1] else word
    return lines


def _height(row: _Row) -> int:
    return max(_ROW, _LINE * len(row.lines) + 10)


def _x(column: int) -> float:
    return _LEFT + _PITCH * (column + 0.5)


def _rail(svg: Element, at: int, column: _Column, height: float) -> None:
    add(svg, "path", class_="rail", d=f"M{_x(at)},{_HEAD - 8}V{height - 6}")
    text = add(svg, "text", fitted(column[2], _PITCH - 6, 12), class_="rail-name", x=_x(at),
               y=_HEAD - 16, text_anchor="middle")  # fmt: skip
    add(text, "title", "/".join(part for part in column if part))


def _bands(svg: Element, columns: Sequence[_Column]) -> None:
    # Bars over neighbouring rails of one host, and under them of one namespace.
    for level, y in ((1, 6), (2, 26)):
        start = 0
        for at in range(1, len(columns) + 1):
            if at < len(columns) and columns[at][:level] == columns[start][:level]:
                continue
            name = columns[start][level - 1]
            if name:
                x, width = _x(start) - _PITCH / 2 + 3, _PITCH * (at - start) - 6
                kind = "host" if level == 1 else "namespace"
                group = add(svg, "g", class_=f"band {kind}")
                add(group, "rect", x=x, y=y, width=width, height=18, rx=4)
                add(group, "text", fitted(name, width - 8, 11), x=x + width / 2, y=y + 13,
                    text_anchor="middle")  # fmt: skip
            start = at


def _draw(
    svg: Element, row: _Row, columns: Sequence[_Column], y: float, start: int | None, width: float
) -> None:
    if row.hop is None:
        is_head = row.lines[0].startswith("#")
        kind = "head" if is_head else _outcome_class(row.journey)
        add(svg, "text", row.lines[0], class_=f"ladder-{kind}", x=8, y=y + 19)
        return
    middle = y + 18
    at = columns.index(_column(row.hop))
    time = clock_time(row.hop.time_ns)
    if row.hop.time_ns is not None and start is not None and row.hop.time_ns != start:
        time = f"+{duration(row.hop.time_ns - start)}"
    add(svg, "text", time[:13], class_="time", x=_LEFT - 6, y=middle + 4, text_anchor="end")
    came = _came_from(row, columns)
    group = add(svg, "g", class_=_step_class(row))
    if came is None or came == at:
        add(group, "circle", cx=_x(at), cy=middle, r=4.5)
    else:
        _step(group, row.hop, _x(came), _x(at), middle)
    ends = (_x(at), _x(at if came is None else came))
    _changes(svg, row, ends, middle, width)


def _outcome_class(journey: Journey) -> str:
    return "lost" if journey.outcome in _LOST else journey.outcome


def _came_from(row: _Row, columns: Sequence[_Column]) -> int | None:
    if row.hop is None or row.hop.parent <= 0:
        return None
    return columns.index(_column(row.journey.hops[row.hop.parent - 1]))


def _step_class(row: _Row) -> str:
    if row.hop is not None and any(change.cause and "nat" in change.cause
                                   for change in row.hop.changes):  # fmt: skip
        return "step translated"
    return "step forwarded" if row.hop and row.hop.cause == "forwarded" else "step"


def _step(group: Element, hop: Hop, x: float, end: float, y: float) -> None:
    sign = 1 if end > x else -1
    add(group, "path", d=f"M{x},{y}H{end - sign * 2}")
    add(group, "path", class_="tip", d=f"M{end - sign * 8},{y - 4}L{end - sign},{y}"
        f"L{end - sign * 8},{y + 4}")  # fmt: skip
    text = "?" if hop.delta_ns is None else duration(hop.delta_ns)
    add(group, "text", text, x=(x + end) / 2, y=y - 4, text_anchor="middle")


def _changes(
    svg: Element, row: _Row, ends: tuple[float, float], middle: float, width: float
) -> None:
    longest = max(len(line) for line in row.lines) * 6.6
    room = width - max(ends) - 12, min(ends) - _LEFT - 12
    is_right = longest < room[0] or (longest > room[1] and room[0] > room[1])
    x = max(ends) + 12 if is_right else min(ends) - 12
    group = add(svg, "g", class_="changes")
    top = middle + 4 - _LINE * (len(row.lines) - 1) / 2
    for number, line in enumerate(row.lines):
        add(group, "text", line, x=x, y=top + number * _LINE,
            text_anchor="start" if is_right else "end")  # fmt: skip


def _description(exchange: Sequence[Journey]) -> str:
    parts = []
    for journey in exchange:
        seen = ", ".join(_column(hop)[2] for hop in journey.hops)
        parts.append(f"{packet_title(journey)}: {seen}; {outcome_words(journey)}.")
    return " ".join(parts)
