"""Classes that are two flows, for one place shows both: a packet passes it once.

A link (with its MACs) shows a packet once with one TTL. Where it is translated as well, a place
does, too, whatever the MACs; and a link shows it in one of its forms alone, at any TTL, for its
sender does not get it back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, find_root, first_at_least, roots
from tracer.correlate.nat.streams import Streams
from tracer.correlate.nat.votes import Edges
from tracer.correlate.packets.identity import OWN, Identity

_NOWHERE = np.uint64(0)  # mark of a stream that says nothing


@dataclass(slots=True)
class Seen:
    """Where a class was seen: links with the TTLs there, and of which tuple each mark is."""

    links: set[int]
    tuples: dict[int, int]

    def is_two_with(self, other: "Seen") -> bool:
        """Return whether this class and another one are two flows."""
        few, many = sorted((self.tuples, other.tuples), key=len)
        two = any(many.get(mark, name) != name for mark, name in few.items())
        return two or not self.links.isdisjoint(other.links)

    def add(self, other: "Seen") -> None:
        """Take in what is known of another class."""
        self.links |= other.links
        self.tuples |= other.tuples


def seen_of(identity: Identity, streams: Streams, segment: Codes, wanted: Codes) -> dict[int, Seen]:
    """Return where some classes were seen; `segment`: the class of each stream.

    Where a point is several devices, two of them may be one link.
    """
    members = np.flatnonzero(np.isin(segment, wanted))
    rows = streams.first[members]
    where = mixed(identity.link[rows], identity.ttl[rows])
    if len(identity.several):
        shared = identity.several[rows]
        where = np.where(shared, mixed(where, streams.named[rows]), where)
    at_place, at_link = _marks(identity, rows)
    seen = {int(root): Seen(set(), {}) for root in wanted}
    columns = (segment[members], where, at_place, at_link, streams.named[rows])
    for root, at, place, link, name in zip(*(c.tolist() for c in columns), strict=True):
        of = seen[root]
        of.links.add(at)
        of.tuples.setdefault(place, name)
        of.tuples.setdefault(link, name)
    for of in seen.values():
        of.tuples.pop(int(_NOWHERE), None)
    return seen


def unite_apart(identity: Identity, streams: Streams, parent: Codes, edges: Edges) -> None:
    """Unite classes, those with most votes first, but for those that a place shows to be two."""
    if not len(edges.votes):
        return
    segment = roots(parent)
    left, right = segment[edges.left], segment[edges.right]
    seen = seen_of(identity, streams, segment, np.unique(np.concatenate([left, right])))
    for at in np.argsort(-edges.votes, kind="stable").tolist():
        a, b = find_root(parent, int(left[at])), find_root(parent, int(right[at]))
        if a != b and not seen[a].is_two_with(seen[b]):
            parent[a] = b
            seen[b].add(seen.pop(a))


def clash(identity: Identity, streams: Streams, segment: Codes, edges: Edges) -> NDArray[np.bool_]:
    """Return which pairs of classes, `edges` of them, a place or a link shows with two tuples."""
    wanted = np.zeros(len(segment), np.bool_)
    wanted[edges.left] = wanted[edges.right] = True
    members = np.flatnonzero(wanted[segment])
    marks = np.concatenate(_marks(identity, streams.first[members]))
    members = np.concatenate([members, members])[marks != _NOWHERE]
    marks = marks[marks != _NOWHERE]
    order = np.lexsort((marks, segment[members]))
    members, marks = members[order], marks[order]
    starts = np.searchsorted(segment[members], np.arange(len(segment) + 1))
    return _clash(starts, marks, streams.named[streams.first[members]], edges.left, edges.right)


@jit
def _clash(starts: Codes, marks: Keys, names: Keys, left: Codes, right: Codes) -> NDArray[np.bool_]:
    out = np.zeros(len(left), np.bool_)
    for edge in range(len(left)):
        few, many = left[edge], right[edge]
        if starts[few + 1] - starts[few] > starts[many + 1] - starts[many]:
            few, many = many, few
        for i in range(starts[few], starts[few + 1]):
            if _shows_other(starts[many], starts[many + 1], marks, names, marks[i], names[i]):
                out[edge] = True
                break
    return out


@inner_plain
def _shows_other(
    start: int, stop: int, marks: Keys, names: Keys, mark: np.uint64, name: np.uint64
) -> bool:
    # Whether one of the rows from `start` on has the mark, and another tuple.
    at = start + first_at_least(marks[start:stop], mark)
    while at < stop and marks[at] == mark:
        if names[at] != name:
            return True
        at += 1
    return False


def _marks(identity: Identity, rows: Codes) -> tuple[Keys, Keys]:
    # Of each row a mark of its point with its TTL, and of its link. Bridges that filter translate
    # and leave the TTL: packets that hardly another is equal to say so themselves.
    silent = identity.traits[rows] & OWN != 0
    if len(identity.several):
        silent |= identity.several[rows]
    at_place = mixed(
        mixed(np.full(len(rows), 3, np.uint64), identity.point[rows]), identity.ttl[rows]
    )
    at_link = mixed(np.full(len(rows), 5, np.uint64), identity.link[rows])
    src, dst = identity.src_mac[rows], identity.dst_mac[rows]
    nameless = (src == np.uint64(NULL_U64)) | (src == dst)  # of `lo` both are 0
    at_place[silent], at_link[silent | nameless] = _NOWHERE, _NOWHERE
    return at_place, at_link
