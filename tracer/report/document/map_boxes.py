"""The boxes around places that belong together: hosts, and namespaces inside them."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from tracer.report.document.map_layout import Layout
from tracer.report.statistics.places import Place

Key = Callable[[Place], tuple[str | None, ...] | None]


@dataclass(frozen=True, slots=True)
class Box:
    """A box over lanes and levels (both ends included), and what it is called."""

    name: str
    lanes: tuple[int, int]
    levels: tuple[int, int]


def host_boxes(layout: Layout, places: tuple[Place, ...]) -> list[Box]:
    """Return a box for each host's connected places."""
    return _boxes(layout, places, lambda place: (place.host,) if place.host else None, "")


def namespace_boxes(layout: Layout, places: tuple[Place, ...]) -> list[Box]:
    """Return a box for each namespace's connected places, none for the hosts' own."""
    return _boxes(
        layout, places, lambda place: (place.host, place.netns) if place.netns else None, "netns "
    )


def _boxes(layout: Layout, places: tuple[Place, ...], key: Key, prefix: str) -> list[Box]:
    boxes = []
    for members in _connected(layout, places, key):
        found = key(places[members[0]])
        name = places[members[0]].short_netns if prefix else places[members[0]].host
        if found is not None and name is not None:
            for part in _free_of_others(layout, members):
                boxes.append(_around(layout, part, prefix + name))
    return boxes


def _connected(layout: Layout, places: tuple[Place, ...], key: Key) -> list[list[int]]:
    group = {place: place for place in layout.slots}

    def find(place: int) -> int:
        while group[place] != place:
            place = group[place]
        return place

    for a, b in layout.links:
        if key(places[a]) == key(places[b]):
            group[find(a)] = find(b)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place in layout.slots:
        members[find(place)].append(place)
    return list(members.values())


def _free_of_others(layout: Layout, members: list[int]) -> list[list[int]]:
    # One box where nothing else lies inside it, else one a lane.
    box = _around(layout, members, "")
    inside = [
        place
        for place, (lane, level) in layout.slots.items()
        if box.lanes[0] <= lane <= box.lanes[1] and box.levels[0] <= level <= box.levels[1]
    ]
    if len(inside) == len(members):
        return [members]
    lanes: defaultdict[int, list[int]] = defaultdict(list)
    for place in members:
        lanes[layout.slots[place][0]].append(place)
    return list(lanes.values())


def _around(layout: Layout, members: list[int], name: str) -> Box:
    lanes = [layout.slots[place][0] for place in members]
    levels = [layout.slots[place][1] for place in members]
    return Box(name, (min(lanes), max(lanes)), (min(levels), max(levels)))
