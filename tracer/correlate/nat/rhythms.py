"""Streams of one rhythm: what passes one link passes another a while later.

Where nothing but time tells packets apart, none says by itself that two streams of one tuple are
one flow and not that of two tenants, or which of several hosts' flows NAT turned into which. All of
a stream together say it: moved by one time they meet those of the other.
"""

from collections import defaultdict
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.hashing import Codes, Keys, factorise, grouped
from tracer.correlate.nat.streams import Streams
from tracer.correlate.nat.tuples import are_translations
from tracer.correlate.order.agreed_times import SHARPER, Told, time_between, times_by
from tracer.correlate.order.links import OFTEN
from tracer.correlate.packets.identity import Identity

MOST_PAIRS = 2000  # that are compared; of more nothing is said
MOST = 0.8  # of the packets of one stream meet those of the other, at least

Mask = NDArray[np.bool_]
Pairs = tuple[Codes, Codes]
_Times = dict[int, Codes]


def of_one_tuple(
    streams: Streams, rows: Codes, tuples: Keys, segment: Codes, asked: Mask, time: Codes
) -> Pairs:
    """Return pairs of streams that have one tuple and one rhythm, and are two segments as yet.

    `rows`: those that are no copies; `tuples`, `segment` and `asked` of each stream: one of the two
    is asked. `time` of each row, in nanoseconds.
    """
    times = _times_of(streams, rows, _of_several(streams, tuples, segment, asked), time)
    found = []
    compared = 0
    for several in _alike(times, tuples):
        joined = {code: int(segment[code]) for code in several}
        for a, b in combinations(several, 2):
            if joined[a] == joined[b] or not (asked[a] or asked[b]) or compared == MOST_PAIRS:
                continue
            compared += 1
            if _common(times[a], times[b]) is not None:
                found.append((a, b))
                joined = {c: joined[a] if j == joined[b] else j for c, j in joined.items()}
    return _pairs(found)


def translated(
    packets: Any, identity: Identity, streams: Streams, rows: Codes, tuples: Keys, segment: Codes,
    asked: Mask, time: Codes,
) -> Pairs:  # fmt: skip
    """Return pairs of segments whose streams have one rhythm, and tuples that NAT turns into each.

    As `of_one_tuple`, but both are asked. A packet passes a point once with one TTL: two segments
    that were seen there are two flows, and of two that may be a third one has to meet it more
    closely by far.
    """
    equal = identity.packet[streams.first]
    times = _times_of(streams, rows, _of_several(streams, equal, segment, asked) & asked, time)
    places = _places(identity, streams, segment, list(times))
    widths: dict[tuple[int, int], int] = {}
    for several in _alike(times, equal):
        nearest = _nearest(packets, streams, times, several, tuples, segment)
        nearest = {(a, b): n for (a, b), n in nearest.items() if places[a].isdisjoint(places[b])}
        if len(widths) + len(nearest) > MOST_PAIRS:
            continue
        for pair, (_, a, b) in nearest.items():
            told = _common(times[a], times[b])
            if told is not None:
                widths[pair] = told.width_ns
    of_segment: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (a, b), width in widths.items():
        of_segment[a].append((b, width))
        of_segment[b].append((a, width))
    return _pairs(
        [
            (a, b)
            for (a, b), width in widths.items()
            if _is_only(of_segment[a], b, width, places)
            and _is_only(of_segment[b], a, width, places)
        ]
    )


def _common(a: Codes, b: Codes) -> Told | None:
    # What is told of two streams that are one flow; others meet now and then.
    told, _ = time_between(a, b)
    return told if told is not None and told.met >= MOST else None


def _of_several(streams: Streams, keys: Keys, segment: Codes, asked: Mask) -> Mask:
    # Streams of many packets of keys that several segments have, and that one asks for.
    several = np.zeros(len(keys), np.bool_)
    many = np.flatnonzero(streams.count >= OFTEN)
    if not asked[many].any():
        return several
    codes, named = factorise(keys[many])
    lowest, highest = np.full(len(named), len(keys)), np.full(len(named), -1)
    np.minimum.at(lowest, codes, segment[many])
    np.maximum.at(highest, codes, segment[many])
    counted = np.bincount(codes, asked[many], len(named))
    several[many] = ((lowest < highest) & (counted > 0))[codes]
    return several


def _times_of(streams: Streams, rows: Codes, wanted: Mask, time: Codes) -> _Times:
    if not wanted.any():
        return {}
    rows = rows[wanted[streams.stream[rows]]]
    return times_by(streams.stream[rows], time[rows])


def _alike(times: _Times, keys: Keys) -> list[list[int]]:
    # Streams of one key, where there are several.
    streams = np.array(list(times), np.int64)
    codes, named = factorise(keys[streams])
    order, starts = grouped(codes, len(named))
    return [streams[order[a:b]].tolist() for a, b in pairwise(starts) if b - a > 1]


def _places(
    identity: Identity, streams: Streams, segment: Codes, members: list[int]
) -> dict[int, set[tuple[int, int]]]:
    # The points at which segments were seen, and the TTLs there.
    places: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for code in members:
        row = streams.first[code]
        places[int(segment[code])].add((int(identity.point[row]), int(identity.ttl[row])))
    return places


def _nearest(
    packets: Any, streams: Streams, times: _Times, several: list[int], tuples: Keys, segment: Codes
) -> dict[tuple[int, int], tuple[float, int, int]]:
    # Of each two segments of several tuples the two streams that follow each other most closely.
    if len(several) ** 2 > 2 * MOST_PAIRS:
        return {}
    pairs = [
        (a, b)
        for a, b in combinations(several, 2)
        if segment[a] != segment[b] and tuples[a] != tuples[b]
    ]
    left, right = _pairs(pairs)
    possible = are_translations(packets, streams.first[left], streams.first[right])
    nearest: dict[tuple[int, int], tuple[float, int, int]] = {}
    for (a, b), may_be in zip(pairs, possible.tolist(), strict=True):
        if may_be:
            key = int(segment[a]), int(segment[b])
            found = _distance(times[a], times[b]), a, b
            nearest[key] = min(nearest.get(key, found), found)
    return nearest


def _distance(a: Codes, b: Codes) -> float:
    # How far the packets of one stream are from the nearest of another, as a rule.
    at = np.searchsorted(b, a)
    before, after = b[np.maximum(at - 1, 0)], b[np.minimum(at, len(b) - 1)]
    return float(np.median(np.minimum(np.abs(a - before), np.abs(after - a))))


def _is_only(
    found: list[tuple[int, int]], partner: int, width: int, places: dict[int, set[tuple[int, int]]]
) -> bool:
    # Of what a segment was found to be: whether nothing where the partner was is about as close.
    return not any(
        other != partner
        and width > SHARPER * wide
        and not places[other].isdisjoint(places[partner])
        for other, wide in found
    )


def _pairs(pairs: list[tuple[int, int]]) -> Pairs:
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
