"""Where each place of the path goes in the picture: a level down the page, a lane across it.

The links are a maximum spanning tree of what went from place to place, so that a packet missed at
one point draws no short cut. Two neighbours that packets pass between lie on opposite sides of a
place; two that both go on to the same third one lie on the same side.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Way = tuple[Sequence[int], int]  # the places in order, and how many journeys went so


@dataclass(slots=True)
class Layout:
    """`slots` maps a place to its (lane, level), both from 0; `links` are the tree's edges."""

    slots: dict[int, tuple[int, int]] = field(default_factory=dict)
    links: list[tuple[int, int]] = field(default_factory=list)


def layout_of(ways: Iterable[Way], begins: Mapping[int, int]) -> Layout:
    """Return the layout of all places on the ways; unconnected parts lie side by side.

    `begins` counts what begins at a place: an end where most begins is on top.
    """
    pairs: Counter[tuple[int, int]] = Counter()
    triples: Counter[tuple[int, int, int]] = Counter()
    starts: Counter[int] = Counter(begins)
    for way, number in ways:
        places = [place for at, place in enumerate(way) if at == 0 or place != way[at - 1]]
        starts[places[0]] += 0
        for a, b in pairwise(places):
            pairs[min(a, b), max(a, b)] += number
        for a, b, c in zip(places, places[1:], places[2:], strict=False):
            triples[a, b, c] += number
            triples[c, b, a] += number
    layout = Layout(links=_tree(pairs))
    neighbours = _neighbours(layout.links)
    for root in _roots(starts, neighbours):
        if root not in layout.slots:
            _settle(root, neighbours, triples, layout)
    lowest = min((level for _, level in layout.slots.values()), default=0)
    layout.slots = {place: (lane, level - lowest) for place, (lane, level) in layout.slots.items()}
    return layout


def _tree(pairs: Counter[tuple[int, int]]) -> list[tuple[int, int]]:
    # Kruskal, heaviest first.
    group: dict[int, int] = {}

    def find(place: int) -> int:
        while group.setdefault(place, place) != place:
            place = group[place]
        return place

    links = []
    for (a, b), _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        if find(a) != find(b):
            group[find(a)] = find(b)
            links.append((a, b))
    return links


def _neighbours(links: list[tuple[int, int]]) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for a, b in links:  # heaviest first, and so are each place's neighbours
        found[a].append(b)
        found[b].append(a)
    return found


def _roots(starts: Counter[int], neighbours: dict[int, list[int]]) -> list[int]:
    # Ends of the tree where most journeys begin come first.
    return sorted(starts, key=lambda place: (len(neighbours.get(place, ())) > 1, -starts[place]))


def _settle(
    root: int,
    neighbours: dict[int, list[int]],
    triples: Counter[tuple[int, int, int]],
    layout: Layout,
) -> None:
    lane = 1 + max((lane for lane, _ in layout.slots.values()), default=-1)
    taken = {slot: place for place, slot in layout.slots.items()}
    queue = [(root, lane, 0)]
    layout.slots[root] = (lane, 0)
    taken[lane, 0] = root
    while queue:
        place, lane, level = queue.pop(0)
        for other in neighbours.get(place, ()):
            if other in layout.slots:
                continue
            slot = (lane, level + _side(place, other, neighbours, triples, layout))
            while slot in taken:
                slot = (slot[0] + 1, slot[1])
            layout.slots[other], taken[slot] = slot, other
            queue.append((other, *slot))


def _side(
    place: int,
    other: int,
    neighbours: dict[int, list[int]],
    triples: Counter[tuple[int, int, int]],
    layout: Layout,
) -> int:
    level = layout.slots[place][1]
    below = above = 0
    for known in neighbours[place]:
        if known in layout.slots and known != other:
            passed = triples[known, place, other]
            if layout.slots[known][1] < level:
                below += passed
            else:
                above += passed
    return 1 if below >= above else -1
