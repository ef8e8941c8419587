"""What a window needs to know of all its hops and rows, compiled: each in one pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit, jit_plain
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes
from tracer.correlate.windows.together import Together

Mask = NDArray[np.bool_]
_BITS = 11  # of a time that are told apart in one pass: the counts stay in the first cache


@dataclass(frozen=True, slots=True)
class Survey:
    """What the hops say of each journey (journeys,), and when those were that are of this window.

    `given`: the number it was given out by, 0 where it was not; `late`: how many of its rows came
    after that; `unfinished`: whether it has a row of the next window. `times_ns` is of no order.
    """

    given: Codes
    late: Codes
    unfinished: Mask
    times_ns: Codes


def survey(hops: StructuredArray, journeys: int, number: Codes, is_next: Mask) -> Survey:
    """Return what hops (HOP_DTYPE) say; `number`: of the journey each row was given out with, or 0.

    `is_next`: rows of the next window.
    """
    given, late = np.zeros(journeys, np.int64), np.zeros(journeys, np.int64)
    unfinished = np.zeros(journeys, np.bool_)
    times = np.empty(len(hops), np.int64)
    count = _survey(hops, number, is_next, given, late, unfinished, times)
    late[given == 0] = 0
    return Survey(given, late, unfinished, times[:count])


@jit_plain
def _survey(
    hops: Any, number: Codes, is_next: Mask, given: Codes, late: Codes, unfinished: Mask,
    times: Codes,
) -> int:  # fmt: skip
    count = 0
    for i in range(len(hops)):
        row, journey = hops[i].row, hops[i].journey
        if is_next[row]:
            unfinished[journey] = True
        else:
            times[count] = hops[i].time_ns
            count += 1
            late[journey] += number[row] == 0
        if number[row] > 0 and given[journey] == 0:
            given[journey] = number[row]
    return count


@jit
def latest(times: Codes, counts: Codes, most: int, since: int) -> int:
    """Return the `most`-th latest time where more than that are later than `since`, else `since`.

    Each time counts as often as `counts` says, once where that has no element.
    """
    total, highest = 0, since
    for i in range(len(times)):
        if times[i] > since:
            total += counts[i] if len(counts) else 1
            highest = max(highest, times[i])
    if total <= most:
        return since
    low, span = since + 1, highest - since
    while span > 1:  # the time is among the `span` from `low` on
        shift = 0
        while (span - 1) >> shift >= 1 << _BITS:
            shift += 1
        found = np.zeros(1 << _BITS, np.int64)
        for i in range(len(times)):
            if low <= times[i] < low + span:
                found[(times[i] - low) >> shift] += counts[i] if len(counts) else 1
        at = (1 << _BITS) - 1
        while found[at] < most:
            most -= found[at]
            at -= 1
        low, span = low + (at << shift), 1 << shift
    return low


def kept_rows(
    hops: StructuredArray, known: Codes, is_recent: Mask, given: Codes, of: Together, last: Codes
) -> tuple[Codes, Codes]:
    """Return the rows that the next window is joined with, ascending, and `Held.number` of each.

    `known`: the number each journey is known by from now on, 0 where it is still to be given out;
    of those that are known only the recent ones are kept. The `last` rows are kept in any case.
    """
    numbers = np.full(len(of.number), -1, np.int64)  # rows that are neither IP nor ARP are in none
    kept = np.zeros(len(numbers), np.bool_)
    _keep(hops, known, is_recent, given, of.number, of.is_next, numbers, kept)
    kept[last] = True
    rows = np.flatnonzero(kept)
    return rows, numbers[rows]


@jit_plain
def _keep(
    hops: Any, known: Codes, is_recent: Mask, given: Codes, number: Codes, is_next: Mask,
    numbers: Codes, kept: Mask,
) -> None:  # fmt: skip
    for i in range(len(hops)):
        row, journey = hops[i].row, hops[i].journey
        if is_next[row]:
            continue
        # Those that came after their journey was given out become one of their own.
        late = given[journey] > 0 and number[row] == 0
        numbers[row] = 0 if late else known[journey]
        kept[row] = numbers[row] == 0 or is_recent[journey]


def hops_left(hops: StructuredArray, chosen: Mask) -> StructuredArray:
    """Return the hops of the chosen journeys, `journey` counting these alone; in `hops` itself."""
    words = hops.view(np.int64).reshape(len(hops), -1)  # moved faster than records
    return hops[: _move_up(hops, words, chosen, np.cumsum(chosen) - 1)]


@jit_plain
def _move_up(hops: Any, words: Any, chosen: Mask, place: Codes) -> int:
    count = 0
    for i in range(len(hops)):
        journey = hops[i].journey
        if chosen[journey]:
            for word in range(words.shape[1]):
                words[count, word] = words[i, word]
            hops[count].journey = place[journey]
            count += 1
    return count
