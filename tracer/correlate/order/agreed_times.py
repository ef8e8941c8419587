"""How long packets take between two links, where only equal packets pass them.

Nothing tells which row is which packet, but moved by the right time nearly all rows of one link
meet one of the other, and meet it more closely than moved by any other time: what sends equal
packets is hardly ever as regular as a link is. Without such a time those that follow each other
are taken for their neighbours wherever one is lost. Where packets meet as closely at several times
it is left open how long they take.
"""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Any

import numpy as np

from tracer.core.jit import jit
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, grouped, pair_keys
from tracer.correlate.order.links import MOST_SPREADS, NEAR_NS, OFTEN, LinkOrder
from tracer.correlate.packets.duplicates import is_numbered

MOST_ROWS, MOST_PARTS, MOST_LINKS = 512, 64, 64  # that are looked at
TOLD = 3  # packets beyond doubt that tell of two links: no others are asked
AROUND = 16  # packets before and after one that it may be at the other link
MOST_TRIES = 2  # flows that are asked about two links
MET = 0.75  # of those that meet at the right time so many are different packets, at least
WIDTHS = 8  # as far as that from the right time nearly all meet of which half do within one
SHARPER = 0.6  # how much closer they meet at the right time than at any other, at most
NEAR = 8  # a step of less than one by this of the time between packets is no later packet's

_Pair = tuple[int, int]  # of links


@dataclass(frozen=True, slots=True)
class AgreedTimes:
    """`links`: the order of links with what equal packets tell; `parts`: the rows of these.

    `is_open`: pairs of links between which they meet as closely at several times.
    """

    links: LinkOrder
    parts: tuple[Codes, ...]
    is_open: frozenset[_Pair]

    def left_open(self, journey: Codes, time: Codes) -> Codes:
        """Return the rows that another packet of their flow may as well have come to.

        `journey` of each row, `time` in nanoseconds.
        """
        found = [np.empty(0, np.int64)]
        pairs = np.array([*self.is_open, *((b, a) for a, b in self.is_open)], np.int64)
        for rows in self.parts if len(pairs) else ():
            order = rows[np.lexsort((time[rows], journey[rows]))]
            first, second = order[:-1], order[1:]
            steps = pair_keys(self.links.link[first], self.links.link[second])
            step_ns = time[second] - time[first]
            # Where each link shows a few only, nothing says how far they are apart.
            of_link = _by_link(self.links.link[rows], time[rows])
            apart_ns = min(map(_apart, of_link.values()), default=0)
            asked = (journey[first] == journey[second]) & (NEAR * step_ns > apart_ns)
            found.append(second[asked & np.isin(steps, pair_keys(pairs[:, 0], pairs[:, 1]))])
        return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class Told:
    """How many packets agree, on which time, and how far from it others may be (ns).

    `width_ns`: within which those meet that agree; `met`: the share of all that meet about then,
    of those of the link that has fewer.
    """

    votes: int
    usual_ns: int
    far_ns: int
    width_ns: int
    met: float


def agreed_times(
    packets: StructuredArray, links: LinkOrder, groups: tuple[Codes, Codes], of_class: Codes,
    lifetime: Codes, time: Codes,
) -> AgreedTimes:  # fmt: skip
    """Return what equal packets without numbers agree on.

    `groups`: rows of equal fingerprint, class after class; `of_class`: of the flow of each row;
    `lifetime`: of its kernel buffer, which tells packets apart, -1 unknown (no element: of none is
    known). `time` in nanoseconds. Links of which packets beyond doubt tell stay as they are.
    """
    found: dict[_Pair, Told] = {}
    tries: Counter[_Pair] = Counter()
    is_open: set[_Pair] = set()
    parts = [groups[0][start:stop] for start, stop in _parts(packets, *groups, of_class)]
    if len(lifetime):
        parts = [rows for rows in parts if (lifetime[rows] < 0).any()]
    for rows in parts:
        of_link = _by_link(links.link[rows], time[rows])
        for pair in combinations(of_link, 2):
            if pair in found or tries[pair] >= MOST_TRIES or _is_told(links, *pair):
                continue
            tries[pair] += 1
            told, several = time_between(of_link[pair[0]], of_link[pair[1]])
            if told is not None:
                found[pair] = told
            elif several:
                is_open.add(pair)
    return AgreedTimes(
        _with(links, found) if found else links,
        tuple(parts),
        frozenset(is_open - found.keys()),
    )


def _parts(packets: Any, order: Codes, starts: Codes, of_class: Codes) -> list[tuple[int, int]]:
    # Rows of equal packets of one class that are without numbers, the most first.
    large = np.flatnonzero(np.diff(starts) >= 2 * OFTEN)
    if not len(large):
        return []
    begin, end = _without_numbers(packets, order, starts, large, of_class)
    most = np.argsort(begin - end, kind="stable")[:MOST_PARTS]
    return list(zip(begin[most].tolist(), end[most].tolist(), strict=True))


@jit
def _without_numbers(
    p: Any, order: Codes, starts: Codes, large: Codes, of_class: Codes
) -> tuple[Codes, Codes]:
    most = 0
    for group in large:
        most += (starts[group + 1] - starts[group]) // (2 * OFTEN)
    begin, end = np.empty(most, np.int64), np.empty(most, np.int64)
    count = 0
    for group in large:
        start = starts[group]
        while start < starts[group + 1]:
            stop = start + 1
            while stop < starts[group + 1] and of_class[order[stop]] == of_class[order[start]]:
                stop += 1
            if stop - start >= 2 * OFTEN and not is_numbered(p, order[start]):
                begin[count], end[count] = start, stop
                count += 1
            start = stop
    return begin[:count].copy(), end[:count].copy()


def times_by(codes: Codes, time: Codes) -> dict[int, Codes]:
    """Return the times, ascending, of the first packets of each code that has OFTEN some.

    `codes` and `time` (nanoseconds) of each packet; codes in ascending order, MOST_ROWS times each.
    """
    named, of = np.unique(codes, return_inverse=True)
    order, starts = grouped(of, len(named))
    often = np.flatnonzero(np.diff(starts) >= OFTEN)
    return {
        int(named[i]): np.sort(time[order[starts[i] : starts[i + 1]]])[:MOST_ROWS] for i in often
    }


def _by_link(link: Codes, time: Codes) -> dict[int, Codes]:
    return dict(islice(times_by(link, time).items(), MOST_LINKS))


def _is_told(links: LinkOrder, a: int, b: int) -> bool:
    if not len(links.keys):
        return False
    keys = pair_keys(np.array([a, b]), np.array([b, a]))
    at = np.minimum(np.searchsorted(links.keys, keys), len(links.keys) - 1)
    return bool(((links.keys[at] == keys) & (links.votes[at] >= TOLD)).any())


def time_between(a: Codes, b: Codes) -> tuple[Told | None, bool]:
    """Return what packets tell of the time from one link to another, None where they do not agree.

    And whether they do not because several times would do as well. `a`, `b`: when the packets of
    one flow passed each link (int64, nanoseconds, ascending, two or more).
    """
    between, of_a, of_b = _differences(a, b)
    half = min(len(a), len(b)) // 2
    at, width = _shortest(between, half)
    if width is None:
        return None, False
    # Those that waited together all go on at once, so that each would meet each of the others.
    if any(len(np.unique(of[at : at + half])) < MET * half for of in (of_a, of_b)):
        return None, False
    usual_ns = int(np.median(between[at : at + half]))
    near = min(_apart(a), _apart(b)) // 2
    if width > near:
        return None, False
    sides = between[between < usual_ns - near], between[between > usual_ns + near]
    others = [other for _, other in (_shortest(side, half) for side in sides) if other is not None]
    if others and width > SHARPER * min(others):
        return None, True
    if abs(usual_ns) <= width:  # which of them is first is not told
        return None, False
    low, high = np.searchsorted(between, (usual_ns - WIDTHS * width, usual_ns + WIDTHS * width + 1))
    met = min(len(np.unique(of[low:high])) for of in (of_a, of_b)) / min(len(a), len(b))
    return Told(half, usual_ns, MOST_SPREADS * width + NEAR_NS, width, met), False


def _apart(times: Codes) -> int:
    # How long it usually is from one to the next.
    return max(int(np.median(np.diff(times))), 2)


def _differences(a: Codes, b: Codes) -> tuple[Codes, Codes, Codes]:
    # From each of `a` to those of `b` around it, ascending, and which these are.
    near = np.searchsorted(b, a)
    low, high = np.maximum(near - AROUND, 0), np.minimum(near + AROUND, len(b))
    counts = high - low
    of_a = np.repeat(np.arange(len(a)), counts)
    of_b = np.repeat(low - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    between = b[of_b] - a[of_a]
    order = np.argsort(between)
    return between[order], of_a[order], of_b[order]


def _shortest(values: Codes, count: int) -> tuple[int, int | None]:
    # Where the `count` of sorted values begin that are closest together, and how close.
    if len(values) < count or count < 1:
        return 0, None
    widths = values[count - 1 :] - values[: len(values) - count + 1]
    at = int(widths.argmin())
    return at, int(widths[at])


def _with(links: LinkOrder, found: dict[_Pair, Told]) -> LinkOrder:
    pairs = np.array([(a, b) if told.usual_ns > 0 else (b, a) for (a, b), told in found.items()])
    more: Keys = pair_keys(pairs[:, 0], pairs[:, 1])
    stay = ~np.isin(links.keys, np.concatenate([more, pair_keys(pairs[:, 1], pairs[:, 0])]))
    keys = np.concatenate([links.keys[stay], more])
    order = np.argsort(keys)

    def column(old: Codes, new: list[int]) -> Codes:
        return np.concatenate([old[stay], np.array(new, np.int64)])[order]

    told = found.values()
    return replace(
        links,
        keys=keys[order],
        votes=column(links.votes, [each.votes for each in told]),
        delay_ns=column(links.delay_ns, [abs(each.usual_ns) for each in told]),
        far_ns=column(links.far_ns, [each.far_ns for each in told]),
    )
