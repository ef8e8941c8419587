"""How well one of several equal packets goes on from another row: by usual delays."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain
from tracer.correlate.hashing import Codes, first_at_least
from tracer.correlate.order.links import MOST_SPREADS, NEAR_NS, OFTEN, LinkOrder

Times = Codes
UNHEARD_NS = 200_000
UNSURE_NS = 100_000  # equal packets on their way at most this far apart cannot be told apart,
SPREADS = 8  # or, where it is known how the time between two links varies, this many times as far
LOOK_AHEAD = 64


def delays_of(links: LinkOrder) -> Codes:
    """Return what `cost_of` and `unsure_of` take of pairs of links, int64, shape (3, pairs)."""
    varies = SPREADS * np.maximum(links.far_ns - NEAR_NS, 0) // MOST_SPREADS
    unsure = np.where(links.votes >= OFTEN, varies, UNSURE_NS)
    return np.stack([links.delay_ns, links.far_ns, unsure])


@inner_plain
def unsure_of(row: int, last: int, link: Codes, keys: Any, delays: Any) -> int:
    """Return how much further from usual a step is that may be the right one all the same, ns."""
    key = (np.uint64(link[last]) << np.uint64(32)) | np.uint64(link[row])
    at = first_at_least(keys, key)
    return int(delays[2, at]) if at < len(keys) and keys[at] == key else UNSURE_NS


@inner_plain
def cost_of(
    row: int, last: int, time: Times, link: Codes, keys: Any, delays: Any, numbered: Any
) -> int:
    """Return how far the step is from the usual delay between the two links, nanoseconds.

    Without one from 0 and a bit more, for few packets skip a link. -1 where it is too far for
    packets that nothing but the time tells apart. `delays`: as `delays_of` gives them.
    """
    key = (np.uint64(link[last]) << np.uint64(32)) | np.uint64(link[row])
    at = first_at_least(keys, key)
    known = at < len(keys) and keys[at] == key
    usual = delays[0, at] if known else 0
    away = abs(time[row] - time[last] - usual)
    if known and not numbered and away > delays[1, at]:
        return -1
    return int(away) if known else int(away) + UNHEARD_NS


@inner_plain
def is_awaited(
    rows: Codes, i: int, slots: Codes, k: int, chains: Any, last: Codes, seen: Codes, time: Times,
    links: Any, cost: int, unsure: int,
) -> bool:  # fmt: skip
    """Return whether chain k goes on with a later row of the link and TTL of row i much better.

    Then row i is of a packet that was missed before. `cost` is that of row i, `unsure` as of
    `unsure_of`; `chains` are the first and the last open one, and how many there can be. No other
    of them may fit the later row as well.
    """
    link, keys, _, delays = links
    first, opened, most = chains
    row, slot = rows[i], slots[i]
    for j in range(i + 1, min(len(rows), i + LOOK_AHEAD)):
        if slots[j] != slot:
            continue
        other = rows[j]
        if time[other] - time[row] > 2 * cost:
            return False
        later = cost_of(other, rows[last[k]], time, link, keys, delays, np.bool_(False))
        if later < 0 or 4 * later + unsure >= cost:
            continue
        best = True
        for chain in range(first, opened):
            c = chain % most
            if (
                c == k
                or seen[slot * most + c] == chain
                or link[rows[last[c]]] != link[rows[last[k]]]
            ):
                continue
            rival = cost_of(other, rows[last[c]], time, link, keys, delays, np.bool_(False))
            best = best and (rival < 0 or rival > later)
        if best:
            return True
    return False


@inner_plain
def in_turn(slots: Codes, i: int, best: int, chains: Any, to_come: Codes) -> int:
    """Return which of the chains that fit row i about as well as the best one comes first.

    Where packets queue they come after more than the usual delay, and the youngest one fits best,
    though none overtook the others. As many of the oldest may be passed over as are lost there: so
    many more are waiting, or are yet to come to the former slot, than are yet to come to this one
    (`to_come`). `chains`: those that fit, oldest first, the last row of each, and how
    many there can be.
    """
    fits, last, most = chains
    former, slot = slots[last[best % most]], slots[i]
    waiting = 0
    for chain in fits:
        waiting += slots[last[chain % most]] == former
    if former == slot:
        return best
    spare = max(waiting + to_come[former] - to_come[slot], 0)
    at_best = 0
    while fits[at_best] != best:
        at_best += 1
    for at in range(at_best):
        k = fits[at] % most
        if slots[last[k]] != former:
            continue
        if spare <= 0:
            return int(fits[at])
        spare -= 1
    return best
