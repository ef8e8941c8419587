"""The hops of a datagram that is cut in several ways: which piece comes first, and which last."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit, jit_plain
from tracer.correlate.hashing import Codes
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.spans import span

Layout = tuple[Codes, Codes]


def order_pieces(packets: Any, identity: Identity, found: Assembly, layout: Layout) -> None:
    """Put the piece with the ports first of those at a datagram's first place, in place.

    `layout`: the rows of the hops in order, and where each journey starts in them.
    """
    rows, starts = layout
    _lead(packets, rows, starts, np.unique(found.journey[found.recut]), identity.place)


def ends_of(packets: Any, identity: Identity, found: Assembly, layout: Layout) -> Codes:
    """Return for each journey the index of the hop that says how it ended: the last, mostly.

    Of a datagram in pieces it is the one some of whose bytes nobody shows further on, where others
    went on: there the datagram ended. A place that shows no fragments but first ones cannot tell.
    """
    rows, starts = layout
    ends = starts[1:] - 1
    if found.recut.any():
        later = np.zeros(int(identity.place.max(initial=-1)) + 1, np.bool_)
        later[identity.place[packets["frag_offset"] > 0]] = True
        which = np.unique(found.journey[found.recut])
        _end(packets, rows, starts, which, identity.place, later, found.copy_of, ends)
    return ends


def last_named(packets: Any, identity: Identity, layout: Layout) -> Codes:
    """Return the last row of each journey that has ports, or the last where none has."""
    rows, starts = layout
    last = rows[starts[1:] - 1]
    if identity.fragmented:
        later = np.flatnonzero(packets["frag_offset"][last] > 0)
        last[later] = _named(packets, rows, starts, later)
    return last


@jit
def _named(p: Any, rows: Codes, starts: Codes, which: Codes) -> Codes:
    out = np.empty(len(which), np.int64)
    for k in range(len(which)):
        i = starts[which[k] + 1] - 1
        while i > starts[which[k]] and p[rows[i]].frag_offset > 0:
            i -= 1
        out[k] = rows[i] if p[rows[i]].frag_offset <= 0 else rows[starts[which[k] + 1] - 1]
    return out


@inner_plain
def is_here(p: Any, a: int, b: int, place: Codes) -> bool:
    """Return whether two rows were seen at one place, with one TTL."""
    return bool(place[a] == place[b] and p[a].ttl == p[b].ttl)


@jit_plain
def _lead(p: Any, rows: Codes, starts: Codes, which: Codes, place: Codes) -> None:
    for journey in which:
        start = starts[journey]
        for i in range(start, starts[journey + 1]):
            row = rows[i]
            if p[row].frag_offset <= 0 and is_here(p, row, rows[start], place):
                for k in range(i, start, -1):
                    rows[k] = rows[k - 1]
                rows[start] = row
                break


@jit_plain
def _end(
    p: Any, rows: Codes, starts: Codes, which: Codes, place: Codes, later: Any, copy_of: Codes,
    ends: Codes,
) -> None:  # fmt: skip
    for journey in which:
        start, stop = starts[journey], starts[journey + 1]
        last = rows[stop - 1]
        if not later[place[last]]:
            continue
        for i in range(stop - 2, start - 1, -1):
            if copy_of[rows[i]] >= 0 or is_here(p, rows[i], last, place):
                continue
            if not _went_on(p, rows, i, stop, place):
                ends[journey] = i
                break


@inner_plain
def _went_on(p: Any, rows: Codes, i: int, stop: int, place: Codes) -> bool:
    # Whether later hops elsewhere have all bytes of hop i.
    at, end = span(p[rows[i]])
    while at < end:
        reached = at
        for k in range(i + 1, stop):
            begin, beyond = span(p[rows[k]])
            if begin <= at and beyond > reached and not is_here(p, rows[i], rows[k], place):
                reached = beyond
        if reached == at:
            return False
        at = reached
    return True
