"""Captures whose stamps are coarser than those of others: where in its unit each was taken.

A stamp says in which unit of time a packet came, as it was cut and not rounded. Beside finer stamps
it is too early by half a unit on average, so that a hop that takes less seems to lead back in time.
"""

from typing import Any

import numpy as np

from tracer.core.jit import jit_plain
from tracer.core.journeys import UNTIMED
from tracer.correlate.hashing import Codes

UNITS_NS = (1_000_000, 1_000)  # of stamps that are not nanoseconds
_ENOUGH = 256  # stamps of a capture of which all are of whole units
_FEWEST = 8  # fewer may be by chance
_ROUND = 10  # units; a clock shows one of so many stamps to be of as many


def early_ns(capture: Any, stamp: Codes) -> Codes:
    """Return by how much each stamp is too early on average, compared with the finest ones.

    `capture` and `stamp` by row; nanoseconds, shape (rows,). No element where all captures resolve
    alike: then stamps compare as they are. So do stamps most of which are rounder than a clock's.
    Rows without a stamp, or of no capture, tell nothing, and stay as they are.
    """
    captures = int(capture.max(initial=-1)) + 1
    if captures < 2:
        return stamp[:0]
    seen = np.zeros(captures, np.int64)
    whole, round_ = (np.zeros((captures, len(UNITS_NS)), np.int64) for _ in range(2))
    _look(capture, stamp, np.array(UNITS_NS), seen, whole, round_)
    sure = seen >= _FEWEST
    fits = (whole == seen[:, None]) & (seen > 0)[:, None]
    largest = np.argmax(fits, axis=1)
    made = 2 * round_ > whole
    if (sure & fits.any(axis=1) & made[np.arange(captures), largest]).any():
        return stamp[:0]
    unit = np.where(fits.any(axis=1), np.array(UNITS_NS)[largest], 1)
    used = unit[sure]
    if not len(used) or used.min() == used.max():
        return stamp[:0]
    # Few stamps tell no unit of their own, but may be of one that others have.
    unit = np.where(sure | np.isin(unit, used), unit, used.min())
    early = (unit - int(used.min())) // 2
    found: Codes = np.where((stamp != UNTIMED) & (capture >= 0), early[capture], 0)
    return found


@jit_plain
def _look(
    capture: Any, stamp: Codes, units: Codes, seen: Codes, whole: Codes, round_: Codes
) -> None:
    # Counts stamps of each capture, up to what is enough, those that are of whole units, and of
    # round numbers of these.
    for i in range(len(stamp)):
        of = capture[i]
        if of < 0 or stamp[i] == UNTIMED or seen[of] >= _ENOUGH:
            continue
        seen[of] += 1
        for k in range(len(units)):
            whole[of, k] += stamp[i] % units[k] == 0
            round_[of, k] += stamp[i] % (_ROUND * units[k]) == 0
