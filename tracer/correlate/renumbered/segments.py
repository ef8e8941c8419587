"""Segments that two sides share, and by how much their numbers differ."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.renumbered.candidates import Candidates, has_own_bytes, segment_key
from tracer.correlate.renumbered.pairs import pairs_of
from tracer.correlate.renumbered.sides import Sides

_MASK = 0xFFFFFFFF


@dataclass(slots=True)
class Shared:
    """A record for each two sides that have the same segment; shapes (n,), a side's number first.

    `first`, `second`: rows, on the sides `a` < `b`. `way`: of side `a`; `turned`: 1 where the way
    of `b` is the other one. `shift`: what is added to the numbers on side `a`, modulo 2**32, to get
    those on side `b`: (n, 4), of sequence numbers in way 0 and 1 of `a`, and of time stamps.
    `told`: `Candidates.are_told`.
    """

    first: Codes
    second: Codes
    a: Codes
    b: Codes
    way: Codes
    turned: Codes
    shift: Codes
    told: NDArray[np.bool_]

    def take(self, which: NDArray[Any]) -> "Shared":
        """Return the chosen records."""
        return Shared(*(getattr(self, name)[which] for name in self.__slots__))


@jit
def _keys(p: Any, rows: Codes) -> Keys:
    # Of each row its segment's key, 0 where it has none.
    out = np.zeros(len(rows), np.uint64)
    for i in range(len(rows)):
        if has_own_bytes(p[rows[i]]):
            out[i] = segment_key(p[rows[i]])
    return out


def _one_a_side(packets: Any, sides: Sides, time: Codes) -> tuple[Codes, Keys]:
    # Places in `sides` of the first row of each segment on each side, sorted by key, with the key.
    # A key that names several segments of a side names none.
    key = _keys(packets, sides.row)
    chosen = np.flatnonzero(key)
    half = 2 * sides.side[chosen] + sides.way[chosen]
    order = np.lexsort((time[sides.row[chosen]], half, key[chosen]))
    chosen, half, key = chosen[order], half[order], key[chosen[order]]
    new = np.ones(len(chosen), np.bool_)
    new[1:] = (key[1:] != key[:-1]) | (half[1:] != half[:-1])
    group = np.cumsum(new) - 1
    number = packets["tcp_seq"][sides.row[chosen]]
    mixed_up = np.zeros(int(new.sum()), np.bool_)
    mixed_up[group[number != number[new][group]]] = True
    kept = new & ~mixed_up[group] & sides.two_ways[sides.side[chosen]]
    return chosen[kept], key[kept]


def shared_segments(
    packets: Any, sides: Sides, chosen: Candidates, flow: Keys, time: Codes
) -> Shared:
    """Return what segments each two sides share; `flow` and `time` of each row of the batch.

    Where many sides have the same bytes, only those of one tuple are compared.
    """
    place, key = _one_a_side(packets, sides, time)
    first, second = pairs_of(key, flow[sides.row[place]])
    x, y = place[first], place[second]
    later = sides.side[x] > sides.side[y]
    x, y = np.where(later, y, x), np.where(later, x, y)
    apart = sides.side[x] != sides.side[y]
    return _compared(packets, sides, chosen, flow, x[apart], y[apart])


def _compared(
    packets: Any, sides: Sides, chosen: Candidates, flow: Keys, x: Codes, y: Codes
) -> Shared:
    first, second = sides.row[x], sides.row[y]
    way = sides.way[x]

    def grown(name: str) -> Codes:
        values = packets[name]
        found: Codes = (values[second].astype(np.int64) - values[first]) & _MASK
        return found

    stamped = packets["tcp_tsval"][first] >= 0
    alike = stamped == (packets["tcp_tsval"][second] >= 0)
    own, other = grown("tcp_seq"), grown("tcp_ack")
    own_ts = np.where(stamped, grown("tcp_tsval"), 0)
    other_ts = np.where(stamped, grown("tcp_tsecr"), 0)
    back = way == 1
    shift = np.column_stack([
        np.where(back, other, own), np.where(back, own, other),
        np.where(back, other_ts, own_ts), np.where(back, own_ts, other_ts),
    ])  # fmt: skip
    told = chosen.are_told(packets, flow, first, second)
    found = Shared(
        first, second, sides.side[x], sides.side[y], way, way ^ sides.way[y], shift, told
    )
    return found.take(np.flatnonzero(alike & (packets["tcp_flags"][first] & 0x10 > 0)))
