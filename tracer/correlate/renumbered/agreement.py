"""One numbering for all sides of a connection, where its shifts leave no choice."""

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.hashing import Codes, unite
from tracer.correlate.renumbered.shifts import Shifts
from tracer.correlate.renumbered.sides import Sides

_MASK = 0xFFFFFFFF
#: (turned, shifts of way 0 and 1 of the first side, of their time stamps): from that side to here.
Numbers = tuple[int, tuple[int, int, int, int]]
_OWN: Numbers = (0, (0, 0, 0, 0))


def _swapped(values: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return values[1], values[0], values[3], values[2]


def _beyond(here: Numbers, edge: Numbers, back: bool) -> Numbers:
    # The numbers of the side at the other end of an edge, which leads from here, or to here.
    turned, own = here
    other = turned ^ edge[0]
    first = other if back else turned  # whether the edge's first side is turned
    step = _swapped(edge[1]) if first else edge[1]
    sign = -1 if back else 1
    a, b, c, d = ((x + sign * y) & _MASK for x, y in zip(own, step, strict=True))
    return other, (a, b, c, d)


def _components(before: Codes, a: Codes, b: Codes) -> Codes:
    # The least side of each side's component, `before` pairs connect more of them.
    found = before.copy()
    unite(found, before[a], before[b])
    return found


def _contradictory(sides: Sides, component: Codes) -> NDArray[np.bool_]:
    # Whether two sides of one component, of each side's, are at one place: they are not one there.
    found = np.zeros(sides.count, np.bool_)
    at = np.unique(np.column_stack([sides.side_of, sides.place_of]), axis=0)
    here = np.column_stack([component[at[:, 0]], at[:, 1]])
    _, code, count = np.unique(here, axis=0, return_inverse=True, return_counts=True)
    found[component[at[count[code.reshape(-1)] > 1, 0]]] = True
    return found[component]


def agreed(sides: Sides, shifts: Shifts) -> tuple[dict[int, Numbers], Codes]:
    """Return the numbers of each side by those of the first side that it is one with, and a root.

    {side: numbers} has the sides whose numbers are known, those that are shifted by nothing too;
    the root of each side, shape (sides,), is that first side. Where anything else is as likely, as
    when two connections have the same bytes, nothing is known. What has the same addresses and
    ports on both sides comes first.
    """
    one = shifts.one_tuple
    near = _components(np.arange(sides.count), shifts.a[one], shifts.b[one])
    wrong = _contradictory(sides, near)
    apart = ~one & ~wrong[shifts.a] & ~wrong[shifts.b]
    suspect = np.zeros(sides.count, np.bool_)
    for end, other in ((shifts.a, shifts.b), (shifts.b, shifts.a)):
        suspect[near[end[~one & wrong[other]]]] = True
    whole = _components(near, shifts.a[apart], shifts.b[apart])
    doubtful = _contradictory(sides, whole)
    np.logical_or.at(doubtful, whole, suspect[near])
    doubtful = doubtful[whole]
    used = shifts.sure & ~wrong[shifts.a] & (one | (apart & ~doubtful[shifts.a]))
    return _walked(shifts, np.flatnonzero(used), sides.count)


def _walked(shifts: Shifts, used: Codes, count: int) -> tuple[dict[int, Numbers], Codes]:
    edges = [
        (turned, (values[0], values[1], values[2], values[3]))
        for turned, values in zip(
            shifts.turned[used].tolist(), shifts.shift[used].tolist(), strict=True
        )
    ]
    ends = list(zip(shifts.a[used].tolist(), shifts.b[used].tolist(), strict=True))
    around: dict[int, list[tuple[int, Numbers, bool]]] = {}
    for (a, b), edge in zip(ends, edges, strict=True):
        around.setdefault(a, []).append((b, edge, False))
        around.setdefault(b, []).append((a, edge, True))
    known: dict[int, Numbers] = {}
    root = np.arange(count)
    for start in sorted(around):
        if start not in known:
            found = _from(start, around)
            known |= found
            root[list(found)] = start
    for start in set(root[_at_odds(known, ends, edges)].tolist()):
        for side in np.flatnonzero(root == start).tolist():
            known.pop(side, None)
    return known, root


def _from(start: int, around: dict[int, list[tuple[int, Numbers, bool]]]) -> dict[int, Numbers]:
    found = {start: _OWN}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for other, edge, back in around[here]:
            if other not in found:
                found[other] = _beyond(found[here], edge, back)
                waiting.append(other)
    return found


def _at_odds(
    known: dict[int, Numbers], ends: Iterable[tuple[int, int]], edges: Iterable[Numbers]
) -> list[int]:
    return [
        a for (a, b), edge in zip(ends, edges, strict=True)
        if _beyond(known[a], edge, False) != known[b]
    ]  # fmt: skip
