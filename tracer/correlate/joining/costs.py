"""How well one of several equal packets goes on from another row: by usual delays."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain
from tracer.correlate.hashing import Codes, first_at_least

Times = Codes
UNHEARD_NS = 200_000
UNSURE_NS = 100_000  # equal packets on their way at most this far apart cannot be told apart
LOOK_AHEAD = 64


@inner_plain
def cost_of(
    row: int, last: int, time: Times, link: Codes, keys: Any, delays: Any, numbered: Any
) -> int:
    """Return how far the step is from the usual delay between the two links, nanoseconds.

    Without one from 0 and a bit more, for few packets skip a link. -1 where it is too far for
    packets that nothing but the time tells apart. `delays`: `delay_ns` and `far_ns` of `LinkOrder`.
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
    links: Any, cost: int,
) -> bool:  # fmt: skip
    """Return whether chain k goes on with a later row of the link and TTL of row i much better.

    Then row i is of a packet that was missed before. `cost` is that of row i; `chains` are the
    first and the last open one, and how many there can be. No other of them may fit the later row
    as well.
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
        if later < 0 or 4 * later + UNSURE_NS >= cost:
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
def in_turn(
    rows: Codes, i: int, slots: Codes, best: int, chains: Any, time: Times, to_come: Codes
) -> int:
    """Return which of the chains that fit row i about as well as the best one comes first.

    Where packets queue they come after more than the usual delay, and the youngest one fits best,
    though none overtook the others. As many of the oldest may be passed over as are lost there: so
    many more are waiting, or are yet to come to the former slot, than are yet to come to this one
    (`to_come`). `chains`: those that fit, oldest first, their costs, the last row of each, and how
    many there can be.
    """
    fits, costs, last, most = chains
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
    since = time[rows[last[best % most]]]
    for at in range(at_best):
        k = fits[at] % most
        if slots[last[k]] != former:
            continue
        # It came later than usual, and would be just so much later.
        if spare <= 0 and costs[at] - costs[at_best] == since - time[rows[last[k]]]:
            return int(fits[at])
        spare -= 1
    return best
