"""The path as a picture: hosts around namespaces around devices, and what passed between them."""

from collections import defaultdict
from dataclasses import dataclass

from markupsafe import Markup

from tracer.report.document.health import health_of
from tracer.report.document.map_boxes import Box, host_boxes, namespace_boxes
from tracer.report.document.map_layout import Layout, Way, layout_of
from tracer.report.document.svg import Element, add, drawing, fitted, markup, node
from tracer.report.document.units import count, duration, percent, plural
from tracer.report.statistics.places import Place
from tracer.report.statistics.segments import Segment

LANE, DEVICE, HEIGHT = 470, 208, 32  # width of a lane and of a device, height of a device
_LINK = 42  # room for the figures of a link
_LABEL, _EDGE = 22, 8  # room above the first and below the last place of a box
_INSET = 14
_MOST = 80  # places drawn


@dataclass(frozen=True, slots=True)
class _Picture:
    layout: Layout
    places: tuple[Place, ...]
    segments: dict[tuple[int, int], Segment]
    levels: list[float]  # the top of the devices of each level

    def left(self, lane: int) -> float:
        return lane * LANE + 2 * _INSET + 2

    def top(self, level: int) -> float:
        return self.levels[level]


def path_map(
    ways: list[Way], places: tuple[Place, ...], segments: tuple[Segment, ...], inferred: bool
) -> Markup | None:
    """Return the picture as SVG, None where there is no place; `inferred` draws links dashed."""
    layout = _cut(layout_of(ways))
    if not layout.slots:
        return None
    hosts, namespaces = host_boxes(layout, places), namespace_boxes(layout, places)
    levels, height = _levels(layout, hosts, namespaces)
    by_ends = {(segment.origin, segment.target): segment for segment in segments}
    picture = _Picture(layout, places, by_ends, levels)
    width = (1 + max(lane for lane, _ in layout.slots.values())) * LANE + 2
    svg = drawing(width, height, "Path of the packets", _description(picture), "path-map")
    for box in hosts:
        svg.append(_box(picture, box, 0, "host"))
    for box in namespaces:
        svg.append(_box(picture, box, _INSET, "namespace"))
    for link in _links(picture):
        svg.append(_link(picture, *link, inferred=inferred))
    for place in layout.slots:
        svg.append(_device(picture, place))
    return markup(svg)


def _cut(layout: Layout) -> Layout:
    kept = dict(list(layout.slots.items())[:_MOST])
    links = [(a, b) for a, b in layout.links if a in kept and b in kept]
    return Layout(kept, links)


def _levels(layout: Layout, hosts: list[Box], namespaces: list[Box]) -> tuple[list[float], float]:
    # Above each level there is room for the names of boxes that begin, below for edges that end.
    count_ = 1 + max(level for _, level in layout.slots.values())
    begins, ends = defaultdict(float), defaultdict(float)
    for boxes in (hosts, namespaces):
        for level in {box.levels[0] for box in boxes}:
            begins[level] += _LABEL
        for level in {box.levels[1] for box in boxes}:
            ends[level] += _EDGE
    tops, y = [], 2.0
    for level in range(count_):
        y += begins[level]
        tops.append(y)
        y += HEIGHT + ends[level] + (_LINK if level + 1 < count_ else 2)
    return tops, y


def _box(picture: _Picture, box: Box, inset: int, kind: str) -> Element:
    x = box.lanes[0] * LANE + inset + 1
    width = (1 + box.lanes[1] - box.lanes[0]) * LANE - 2 * inset - 24
    outer = kind == "host"
    top = picture.top(box.levels[0]) - _LABEL
    bottom = picture.top(box.levels[1]) + HEIGHT + _EDGE
    if outer:  # a host's box lies around the namespaces that begin or end where it does
        top -= _LABEL if _starts_inside(picture, box) else 0
        bottom += _EDGE if _ends_inside(picture, box) else 0
    group = node("g", class_=f"box {kind}")
    add(group, "rect", x=x, y=top, width=width, height=bottom - top, rx=6)
    text = add(group, "text", fitted(box.name, width - 20, 12), x=x + 10, y=top + 15)
    add(text, "title", box.name)
    return group


def _starts_inside(picture: _Picture, box: Box) -> bool:
    return _has_namespace(picture, box, box.levels[0])


def _ends_inside(picture: _Picture, box: Box) -> bool:
    return _has_namespace(picture, box, box.levels[1])


def _has_namespace(picture: _Picture, box: Box, at: int) -> bool:
    return any(
        picture.places[place].netns is not None
        for place, (lane, level) in picture.layout.slots.items()
        if level == at and box.lanes[0] <= lane <= box.lanes[1]
    )


def _device(picture: _Picture, at: int) -> Element:
    place = picture.places[at]
    lane, level = picture.layout.slots[at]
    x, y = picture.left(lane), picture.top(level)
    group = node("g", class_="device")
    add(group, "title", place.label)
    add(group, "rect", x=x, y=y, width=DEVICE, height=HEIGHT, rx=5)
    room = DEVICE - 24 - (len(place.role) * 7 + 14 if place.role else 0)
    add(group, "text", fitted(place.name, room, 13), x=x + 11, y=y + 21)
    if place.role and place.role != place.name:
        add(group, "text", place.role, class_="role", x=x + DEVICE - 10, y=y + 21,
            text_anchor="end")  # fmt: skip
    return group


def _links(picture: _Picture) -> list[tuple[int, int]]:
    # Each pair once, upper place first: what the layout rests on, and what went past a place.
    pairs = {}
    for a, b in [*picture.layout.links, *picture.segments]:
        if a in picture.layout.slots and b in picture.layout.slots:
            upper, lower = sorted((a, b), key=lambda place: picture.layout.slots[place][1])
            pairs[frozenset((a, b))] = (upper, lower)
    return list(pairs.values())


def _link(picture: _Picture, upper: int, lower: int, *, inferred: bool) -> Element:
    (lane, level), (other_lane, other_level) = (
        picture.layout.slots[upper], picture.layout.slots[lower],
    )  # fmt: skip
    is_straight = lane == other_lane and other_level == level + 1
    group = node("g", class_="link inferred" if inferred else "link")
    ways = ((upper, lower), (lower, upper))
    for offset, ends in zip((22, 38), ways, strict=True):
        segment = picture.segments.get(ends)
        if segment is not None or inferred:
            _arrow(picture, group, upper, lower, offset, segment, ends == ways[1])
    if is_straight:
        _figures(picture, group, upper, lower)
    return group


def _arrow(
    picture: _Picture, group: Element, upper: int, lower: int, offset: int,
    segment: Segment | None, is_up: bool,
) -> None:  # fmt: skip
    (lane, level), (other_lane, other_level) = (
        picture.layout.slots[upper], picture.layout.slots[lower],
    )  # fmt: skip
    x, y = picture.left(lane) + offset, picture.top(level) + HEIGHT
    end_x, end_y = picture.left(other_lane) + offset, picture.top(other_level)
    if lane == other_lane and other_level == level + 1:
        path = f"M{x},{y}L{end_x},{end_y}"
    else:
        path = _curve(picture, upper, lower, offset)
    health = "none" if segment is None else health_of(segment)
    line = add(group, "path", class_=f"way {health}", d=path)
    if segment is not None:
        add(line, "title", _sentence(picture, segment))
    if path.count("C"):
        return
    tip = f"M{x - 4},{y + 6}L{x},{y}L{x + 4},{y + 6}" if is_up else (
        f"M{end_x - 4},{end_y - 6}L{end_x},{end_y}L{end_x + 4},{end_y - 6}"
    )  # fmt: skip
    add(group, "path", class_=f"way {health} tip", d=tip)


def _curve(picture: _Picture, upper: int, lower: int, offset: int) -> str:
    (lane, level), (other_lane, other_level) = (
        picture.layout.slots[upper], picture.layout.slots[lower],
    )  # fmt: skip
    shift = offset / 4
    x = picture.left(lane) + (DEVICE if other_lane >= lane else 0)
    y = picture.top(level) + HEIGHT / 2 + shift
    end_x = picture.left(other_lane) + (DEVICE if other_lane <= lane else 0)
    end_y = picture.top(other_level) + HEIGHT / 2 - shift
    bend = 40 + shift if other_lane >= lane else -40 - shift
    end_bend = bend if other_lane == lane else -bend
    return f"M{x},{y}C{x + bend},{y} {end_x + end_bend},{end_y} {end_x},{end_y}"


def _figures(picture: _Picture, group: Element, upper: int, lower: int) -> None:
    lane, level = picture.layout.slots[upper]
    x = picture.left(lane) + 52
    top, bottom = picture.top(level) + HEIGHT, picture.top(level + 1)
    lines = [
        (sign, picture.segments[ends])
        for sign, ends in (("↓", (upper, lower)), ("↑", (lower, upper)))
        if ends in picture.segments
    ]
    y = (top + bottom) / 2 + 4 - 8 * (len(lines) - 1)
    for sign, segment in lines:
        text = add(group, "text", class_="figures", x=x, y=y)
        add(text, "tspan", f"{sign} {count(segment.packets)}")
        if segment.lost:
            words = f"   {count(segment.lost)} lost ({percent(segment.loss)})"
            add(text, "tspan", words, class_=f"lost {health_of(segment)}")
        if segment.timed:
            add(text, "tspan", f"   p50 {duration(segment.p50_ns)}, p99 {duration(segment.p99_ns)}",
                class_="slow" if health_of(segment) == "slow" else None)  # fmt: skip
        y += 16


def _sentence(picture: _Picture, segment: Segment) -> str:
    target = picture.places[segment.target].label if segment.target >= 0 else "beyond"
    words = (
        f"{picture.places[segment.origin].label} to {target}: "
        f"{plural(segment.packets, 'packet')}, {count(segment.lost)} lost"
    )
    if not segment.timed:
        return words
    return f"{words}, p50 {duration(segment.p50_ns)}, p99 {duration(segment.p99_ns)}"


def _description(picture: _Picture) -> str:
    order = sorted(picture.layout.slots, key=lambda at: picture.layout.slots[at])
    names = ", ".join(picture.places[place].label for place in order)
    return f"From top to bottom: {names}. The table of segments has every number."
