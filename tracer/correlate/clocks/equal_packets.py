"""How long equal packets take between two clocks: as long as others, or as little as stamps allow.

Those that are unlike any other compare two clocks; where they went one way only, either the clocks
differ or the way is long. Equal packets went by other links, perhaps by a shorter way. Nothing
tells which row is which packet, but at the right time nearly each meets one on the other side.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit_plain
from tracer.correlate.hashing import Codes
from tracer.correlate.packets.groups import first_at, sort_groups

Times = NDArray[np.int64]
FEW_ROWS = 12  # of a group that is looked at for whether it is one packet


def take_as_long(
    groups: tuple[Codes, Codes], spot: Codes, time: Times, side: Codes, least_ns: Codes,
    spread_ns: Codes,
) -> NDArray[np.bool_]:  # fmt: skip
    """Return for each two sides whether equal packets seem to take `least_ns` in between.

    `groups`: (order, starts) of rows of equal fingerprint; `side`, of each row, and `spot`, where
    it was seen. `least_ns` (int64, shape (sides, sides)): of other packets, from one side to the
    other, 0 where nothing is asked; `spread_ns`: how much longer many take. False where fewer
    packets meet then than without a delay, or none do.
    """
    order, nothing = groups[0].copy(), np.zeros(len(time), np.int64)
    sort_groups(order, groups[1], nothing, time, nothing)
    met = np.zeros((2, *least_ns.shape), np.int64)
    _meet(order, groups[1], spot, time, side, least_ns, spread_ns, met)
    found: NDArray[np.bool_] = (met[1] > 0) & (met[1] >= met[0])
    return found


@jit_plain
def _meet(
    order: Codes, starts: Codes, spot: Codes, time: Times, side: Codes, least_ns: Codes,
    spread_ns: Codes, met: Any,
) -> None:  # fmt: skip
    # Counts rows of each side that meet one of another after no time, and after the least time.
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 3 or (len(rows) <= FEW_ROWS and _is_one(rows, spot)):
            continue
        for a in rows:
            for other in range(len(least_ns)):
                least = least_ns[side[a], other]
                for late in range(2 if least > 0 else 0):
                    since = time[a] + late * least
                    until = since + spread_ns[side[a], other]
                    met[late, side[a], other] += _is_met(rows, time, side, other, since, until)


@inner_plain
def _is_one(rows: Codes, spot: Codes) -> bool:
    for i in range(len(rows)):
        for j in range(i):
            if spot[rows[i]] == spot[rows[j]]:
                return False
    return True


@inner_plain
def _is_met(rows: Codes, time: Times, side: Codes, other: int, since: int, until: int) -> bool:
    low = first_at(rows, 0, len(rows), time, since)
    while low < len(rows) and time[rows[low]] <= until:
        if side[rows[low]] == other:
            return True
        low += 1
    return False
