"""The path as a picture: hosts around namespaces around devices, and what passed between them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from tracer.report.document.health import health_of
from tracer.report.document.map_boxes import Box, host_boxes, namespace_boxes
from tracer.report.document.map_layout import Layout, Way, layout_of
from tracer.report.document.svg import Element, add, drawing, fitted, markup, node
from tracer.report.document.units import count, duration, percent, plural
from tracer.report.statistics.places import Place
from tracer.report.statistics.segments import Segment
from tracer.report.statistics.translations import Translation
from tracer.report.words import cause_word

LANE, DEVICE, HEIGHT = 590, 208, 32  # width of a lane and of a device, height of a device
_LINK = 42  # room for the figures of a link
DOWN, UP = 22, 38  # where the lines down and up are, from the left of a device
_LABEL, _EDGE = 22, 8  # room above the first and below the last place of a box
_INSET = 14
_MOST = 80  # places drawn


@dataclass(frozen=True, slots=True)
class _Picture:
    layout: Layout
    places: tuple[Place, ...]
    segments: dict[tuple[int, int], Segment]
    levels: list[float]  # the top of the devices of each level
    middles: list[float]  # half way between a level's boxes and the next one's
    notes: dict[tuple[int, int], list[str]]  # what is rewritten on the way from place to place

    def left(self, lane: int) -> float:
        return lane * LANE + 2 * _INSET + 2

    def top(self, level: int) -> float:
        return self.levels[level]


def path_map(
    ways: list[Way],
    begins: Mapping[int, int],
    places: tuple[Place, ...],
    segments: tuple[Segment, ...],
    translations: tuple[Translation, ...] = (),
    *,
    inferred: bool = False,
) -> Markup | None:
    """Return the picture as SVG, None where there is no place; `inferred` draws links dashed.

    `begins` counts the packets that begin at each place.
    """
    layout = _cut(layout_of(ways, begins))
    if not layout.slots:
        return None
    hosts, namespaces = host_boxes(layout, places), namespace_boxes(layout, places)
    levels, middles, height = _levels(layout, hosts, namespaces)
    by_ends = {(segment.origin, segment.target): segment for segment in segments}
    notes = _notes(translations)
    picture = _Picture(layout, places, by_ends, levels, middles, notes)
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


def _notes(translations: tuple[Translation, ...]) -> dict[tuple[int, int], list[str]]:
    notes: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for each in translations:
        ends = zip(each.before, each.after, strict=True)
        changed = [f"{old} → {new}" for old, new in ends if old != new]
        words = changed or ["port or id only"]
        notes[each.origin, each.target].append(f"{cause_word(each.cause)} {', '.join(words)}")
    return {
        ends: [*found[:1], *([f"+{len(found) - 1}"] if len(found) > 1 else [])]
        for ends, found in notes.items()
    }


def _levels(
    layout: Layout, hosts: list[Box], namespaces: list[Box]
) -> tuple[list[float], list[float], float]:
    # Above each level there is room for the names of boxes that begin, below for edges that end.
    count_ = 1 + max(level for _, level in layout.slots.values())
    begins: defaultdict[int, float] = defaultdict(float)
    ends: defaultdict[int, float] = defaultdict(float)
    for boxes in (hosts, namespaces):
        for level in {box.levels[0] for box in boxes}:
            begins[level] += _LABEL
        for level in {box.levels[1] for box in boxes}:
            ends[level] += _EDGE
    tops, middles, y = [], [], 2.0
    for level in range(count_):
        y += begins[level]
        tops.append(y)
        y += HEIGHT + ends[level]
        middles.append(y + _LINK / 2)
        y += _LINK if level + 1 < count_ else 2
    return tops, middles, y


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
    text = add(group, "text", fitted(box.name, width - 100, 12), x=x + width - 10, y=top + 15,
               text_anchor="end")  # fmt: skip
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
        if a != b and a in picture.layout.slots and b in picture.layout.slots:
            upper, lower = sorted((a, b), key=lambda place: picture.layout.slots[place][1])
            pairs[frozenset((a, b))] = (upper, lower)
    return list(pairs.values())


def _link(picture: _Picture, upper: int, lower: int, *, inferred: bool) -> Element:
    is_side = not _is_tree(picture, upper, lower)
    kinds = ["link", *(["inferred"] if inferred else []), *(["side"] if is_side else [])]
    group = node("g", class_=" ".join(kinds))
    drawn = _route(picture, upper, lower, is_side)
    for at, ends in enumerate(((upper, lower), (lower, upper))):
        segment = picture.segments.get(ends)
        if segment is not None or inferred:
            health = "none" if segment is None else health_of(segment)
            line = add(group, "path", class_=f"way {health}", d=drawn.paths[at])
            if segment is not None:
                add(line, "title", _sentence(picture, segment))
            add(group, "path", class_=f"way {health} tip", d=drawn.tips[at])
    if drawn.figures is not None:
        _figures(picture, group, upper, lower, drawn.figures)
    return group


def _is_tree(picture: _Picture, upper: int, lower: int) -> bool:
    return (upper, lower) in picture.layout.links or (lower, upper) in picture.layout.links


@dataclass(frozen=True, slots=True)
class _Route:
    # The lines down and up, their tips, and the middle left of the figures: None for no room.
    paths: tuple[str, str]
    tips: tuple[str, str]
    figures: tuple[float, float] | None


def _route(picture: _Picture, upper: int, lower: int, is_side: bool) -> _Route:
    (lane, level), (end_lane, end_level) = picture.layout.slots[upper], picture.layout.slots[lower]
    if end_level == level + 1 and not is_side:
        if lane == end_lane:
            return _straight(picture, lane, level)
        if end_lane > lane and _is_free(picture, lane, end_lane, level):
            return _corner(picture, (lane, level), end_lane, end_level, down=True)
        if lane > end_lane and _is_free(picture, end_lane, lane, end_level):
            return _corner(picture, (end_lane, end_level), lane, level, down=False)
    return _curve(picture, upper, lower)


def _is_free(picture: _Picture, lane: int, last: int, level: int) -> bool:
    taken = set(picture.layout.slots.values())
    return not any((each, level) in taken for each in range(lane + 1, last + 1))


def _straight(picture: _Picture, lane: int, level: int) -> _Route:
    x, top, bottom = picture.left(lane), picture.top(level) + HEIGHT, picture.top(level + 1)
    lines = (f"M{x + DOWN},{top}V{bottom}", f"M{x + UP},{bottom}V{top}")
    tips = (_tip(x + DOWN, bottom, 1), _tip(x + UP, top, -1))
    return _Route(lines, tips, (x + UP + 14, picture.middles[level]))


def _corner(
    picture: _Picture, start: tuple[int, int], lane: int, level: int, *, down: bool
) -> _Route:
    # Out of the side of a place in a lane on the left, then to one in a lane on the right.
    x, y = picture.left(start[0]) + DEVICE, picture.top(start[1])
    end = picture.left(lane)
    end_y = picture.top(level) if down else picture.top(level) + HEIGHT
    near, far = (22, 10) if down else (10, 22)  # nested, so that the two never cross
    inner = f"M{x},{y + near}H{end + DOWN}V{end_y}"
    outer = f"M{x},{y + far}H{end + UP}V{end_y}"
    middle = picture.middles[start[1] if down else level]
    if down:
        tips = (_tip(end + DOWN, end_y, 1), _side_tip(x, y + far))
    else:
        tips = (_side_tip(x, y + near), _tip(end + UP, end_y, -1))
    return _Route((inner, outer), tips, (end + UP + 14, middle))


def _curve(picture: _Picture, upper: int, lower: int) -> _Route:
    (lane, level), (end_lane, end_level) = picture.layout.slots[upper], picture.layout.slots[lower]
    x = picture.left(lane) + (DEVICE if end_lane >= lane else 0)
    end_x = picture.left(end_lane) + (DEVICE if end_lane <= lane else 0)
    bend = 60 if end_lane >= lane else -60
    end_bend = bend if end_lane == lane else -bend
    lines = []
    for shift in (4, -4):
        y = picture.top(level) + HEIGHT / 2 + shift
        end_y = picture.top(end_level) + HEIGHT / 2 + shift
        lines.append(f"M{x},{y}C{x + bend},{y} {end_x + end_bend},{end_y} {end_x},{end_y}")
    return _Route((lines[0], lines[1]), ("", ""), None)


def _tip(x: float, y: float, sign: int) -> str:
    return f"M{x - 4},{y - 6 * sign}L{x},{y}L{x + 4},{y - 6 * sign}"


def _side_tip(x: float, y: float) -> str:
    return f"M{x + 6},{y - 4}L{x},{y}L{x + 6},{y + 4}"


def _figures(
    picture: _Picture, group: Element, upper: int, lower: int, at: tuple[float, float]
) -> None:
    found = [
        (sign, ends)
        for sign, ends in (("↓", (upper, lower)), ("↑", (lower, upper)))
        if ends in picture.segments or ends in picture.notes
    ]
    y = at[1] + 4 - 8 * (len(found) - 1)
    for sign, ends in found:
        text = add(group, "text", class_="figures", x=at[0], y=y)
        segment = picture.segments.get(ends)
        if segment is None:  # inferred: there is nothing to count
            add(text, "tspan", sign)
        else:
            _segment_figures(text, sign, segment)
        for note in picture.notes.get(ends, ()):
            add(text, "tspan", f"   {note}", class_="nat")
        y += 16


def _segment_figures(text: Element, sign: str, segment: Segment) -> None:
    add(text, "tspan", f"{sign} {count(segment.packets)}")
    if segment.lost:
        words = f"   {count(segment.lost)} lost ({percent(segment.loss)})"
        add(text, "tspan", words, class_=f"lost {health_of(segment)}")
    if segment.timed:
        words = f"   p50 {duration(segment.p50_ns)}, p99 {duration(segment.p99_ns)}"
        add(text, "tspan", words, class_="slow" if health_of(segment) == "slow" else None)


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
