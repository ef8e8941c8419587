"""A path as lines of a table: a row a point, the way out and the way back side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from tracer.core.point import Point
from tracer.report.layout import Layout
from tracer.report.line import Line
from tracer.report.live.paths import Figures, Path, PathRow
from tracer.report.live.units import count, duration, percent, rate
from tracer.report.roles import own_netns, short_netns

_SHORT = (("pkt/s", 5), ("loss", 5), ("p50", 6), ("p99", 6))
_LONG = (("packets", 9), ("pkt/s", 7), ("lost", 7), ("loss", 7), ("p50", 8), ("p99", 8))
_LOST, _MISSED, _SLOWEST = "bold red", "yellow", "bold yellow"


@dataclass(frozen=True, slots=True)
class PathTable:
    """Lines of a path: `heads` stay on top, `rows` may scroll."""

    heads: tuple[Line, ...]
    rows: tuple[Line, ...]


def path_table(path: Path, width: int) -> PathTable:
    """Return a path as a table of `width` columns.

    What goes out is left, what comes back right, where there is room for both in short form. The
    slowest step of each way (by p50) stands out, as do losses.
    """
    points = [row.point for row in path.rows]
    places = _places(points, width, path.has_back)
    place_width = max((place.cell_len for place in places), default=0)
    legs = 2 if path.has_back else 1
    columns = _LONG if width - place_width >= legs * (_leg_width(_LONG) + 3) else _SHORT
    gap = 1 if width - place_width < legs * (_leg_width(columns) + 2) + 4 else 3
    slowest = _slowest([row.out for row in path.rows]), _slowest([row.back for row in path.rows])
    heads = _heads(place_width, columns, gap, has_back=path.has_back)
    rows = (
        _row(row, place, place_width, columns, gap, slowest)
        for row, place in zip(path.rows, places, strict=True)
    )
    return PathTable(heads, tuple(rows))


def path_title(path: Path, number: int, total: int) -> str:
    """Return the path in words: from where to where, how much of all."""
    first, last = path.rows[0].point, path.rows[-1].point
    which = f"path {number} of {total}" if total > 1 else "path"
    return f"{which}: {first.name} → {last.name}, {rate(path.rate)} packets/s, {_told(path)}"


def _told(path: Path) -> str:
    places = [(leg.lost, row.point.name) for row in path.rows for leg in (row.out, row.back) if leg]
    most, name = max(places, default=(0, ""))
    where = f", {'all' if most == path.lost else 'most'} at {name}" if most else ""
    missed = f", {count(path.missed)} lost by tracer" if path.missed else ""
    return f"{count(path.lost)} of {count(path.packets)} lost{where}{missed}"


def _leg_width(columns: Sequence[tuple[str, int]]) -> int:
    return sum(width + 1 for _, width in columns) - 1


def _places(points: Sequence[Point], width: int, has_back: bool) -> list[Line]:
    layout = Layout.of(points, width)
    needed = (2 if has_back else 1) * (_leg_width(_SHORT) + 1)
    full = [layout.place(point, point.direction.label) for point in points]
    if not full or full[0].cell_len + needed <= width:
        return full
    return [_narrow(point, width - needed) for point in points]


def _narrow(point: Point, width: int) -> Line:
    # The namespace without its uuid, the arrow next to the device.
    device = min(17, max(width - 10, 8))
    netns = (short_netns(own_netns(point)) or point.host or "").partition("-")[0]
    name = point.name if len(point.name) < device else f"{point.name[: device - 2]}…"
    arrow = {"ingress": "→", "egress": " "}.get(point.direction.label or "", " ")
    tail = "→" if point.direction.label == "egress" else ""
    room = width - device - 1
    line = Line(f"{netns[: room - 1]:<{room}}", "dim").append(arrow, "bold")
    return line.append(f"{name}{tail}".ljust(device), "bold")


def _heads(
    place: int, columns: Sequence[tuple[str, int]], gap: int, *, has_back: bool
) -> tuple[Line, ...]:
    line = Line(" " * place)
    for arrow in ("→", "←") if has_back else (" ",):
        line.append(f"{arrow:>{gap}}" if gap == 1 else f"{arrow:>{gap - 1}} ", "bold")
        line.append(" ".join(f"{name:>{width}}" for name, width in columns), "dim")
    return (line,)


def _row(
    row: PathRow,
    place: Line,
    place_width: int,
    columns: Sequence[tuple[str, int]],
    gap: int,
    slowest: tuple[Figures | None, Figures | None],
) -> Line:
    line = Line().extend(place).append(" " * (place_width - place.cell_len))
    for figures, slow in zip((row.out, row.back), slowest, strict=True):
        line.append(" " * gap)
        line.extend(_leg(figures, columns, is_slowest=figures is slow))
    return line.rstrip()


def _leg(figures: Figures | None, columns: Sequence[tuple[str, int]], *, is_slowest: bool) -> Line:
    line = Line()
    for name, width in columns:
        text, style = _cell(figures, name, is_slowest=is_slowest) if figures else ("", "")
        line.append(" " if line.cell_len else "").append(f"{text:>{width}}", style)
    return line


def _cell(figures: Figures, name: str, *, is_slowest: bool) -> tuple[str, str]:
    slow = _SLOWEST if is_slowest else ""
    match name:
        case "packets":
            return count(figures.packets), ""
        case "pkt/s":
            return rate(figures.rate), "" if figures.rate else "dim"
        case "lost":
            return count(figures.lost), _LOST if figures.lost else "dim"
        case "loss":
            return percent(figures.loss, figures.packets), _LOST if figures.lost else "dim"
        case "p50":
            return duration(figures.p50_ns), slow
    return duration(figures.p99_ns), slow


def _slowest(legs: Sequence[Figures | None]) -> Figures | None:
    timed = [leg for leg in legs if leg is not None and leg.p50_ns is not None]
    return max(timed, key=lambda leg: leg.p50_ns or 0) if len(timed) > 1 else None
