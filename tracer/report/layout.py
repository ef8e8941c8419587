"""Columns of the text tree: how wide they are, and how a line that is too long goes on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracer.core.point import Point
from tracer.report.line import Line
from tracer.report.roles import own_netns, role_of, short_netns

TIME_WIDTH = len("09:29:04.123456")
_COMFORT = 44  # columns that changes want beside a hop; where there are fewer they go below it


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the columns of hop lines, the same for a whole output."""

    width: int
    host: int
    netns: int
    device: int
    role: int

    @classmethod
    def of(cls, points: Iterable[Point], width: int) -> "Layout":
        """Return the layout for hops at the given points on a terminal of `width` columns.

        The host is left out where there is one only, the role where the terminal is narrow.
        """
        points = list(points)
        hosts = {point.host for point in points}
        roles = max((len(role_of(point) or "") for point in points), default=0)
        return cls(
            width=width,
            host=max((len(host or "") for host in hosts), default=0) if len(hosts) > 1 else 0,
            netns=min(20, max((len(_netns(point)) for point in points), default=0)),
            device=max((len(point.name) for point in points), default=0),
            role=roles if width >= 100 else 0,
        )

    @property
    def place_start(self) -> int:
        """Column where the place begins, under which narrow lines go on."""
        return 4 + TIME_WIDTH + 2

    def start(self, n: int, time: str, point: Point, direction: str | None) -> Line:
        """Return the start of a hop's line: its number, its time or delta, and its place."""
        line = Line(f"{n:>3} ", "dim")
        line.append(f"{time:>{TIME_WIDTH}}  ")
        return line.extend(self.place(point, direction))

    def place(self, point: Point, direction: str | None) -> Line:
        """Return host, netns, role and device, an arrow on the side the packet is on."""
        text = Line()
        for value, width in ((point.host, self.host), (_netns(point), self.netns)):
            if width:
                text.append(f"{value or '':<{width}} ", "dim")
        if self.role:
            text.append(f"{role_of(point) or '':<{self.role}} ", "cyan")
        text.append("→ " if direction == "ingress" else "  ", "bold")
        text.append(f"{point.name:<{self.device}}", "bold")
        text.append(" →" if direction == "egress" else "  ", "bold")
        return text


def _netns(point: Point) -> str:
    return short_netns(own_netns(point)) or ""


def lines_of(prefix: Line, tokens: Sequence[Line], width: int, indent: int) -> list[Line]:
    """Return a line with its tokens, two spaces between; what does not fit goes on below.

    Further lines are indented to where the tokens began if they have room there, else by `indent`.
    """
    start = prefix.cell_len + 2
    indent = start if width - start >= _COMFORT else indent
    lines = [prefix.copy()]
    for token in tokens:
        if lines[-1].cell_len + 2 + token.cell_len <= width:
            lines[-1].append("  ").extend(token)
        else:
            lines.append(Line(" " * indent).extend(token))
    return [line.rstrip() for line in lines]
