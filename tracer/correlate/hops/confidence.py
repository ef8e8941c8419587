"""How sure a join is: the share of joins like it that were right where the truth is known.

A join's situation is a cell: what witnesses its bytes have, whether its tuple was translated, how
many candidates there were, whether its delay is usual. `scripts/fit_confidence.py` counts the joins
of simulated networks by cell; of cells with few joins the coarser situation around them counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain
from tracer.correlate.hops.confidence_table import MEASURED, SHIFTED
from tracer.correlate.order.links import usual_delay
from tracer.correlate.packets.identity import NO_DIGEST, WITNESSES

#: A buffer's identity within one lifetime is the kernel's own; no simulation has it.
CERTAIN = 0.9999
#: Sizes of the parts of a cell: proof, ambiguous, translated, repeated, candidates, witnesses,
#: delay, payload hidden, merged. The first ones matter most.
PARTS = (2, 2, 2, 2, 4, 4, 3, 2, 2)
CELLS = int(np.prod(PARTS))
DELAY = int(np.prod(PARTS[-2:]))  # what the cell of another delay differs by
PROVEN = CELLS // 2  # added to the cell of a join that a conntrack entry proves
ENOUGH = 300  # joins of a situation that say how sure it is
Z = 1.96  # of the lower bound of a share (Wilson): 95 of 100 such bounds are below the truth

USUAL, UNKNOWN, UNUSUAL = 0, 1, 2
LONG_NS = 50_000_000
LATE_NS = 200_000


@inner_plain
def delay_of(a: int, b: int, delta: Any, links: Any) -> int:
    """Return whether the step between two rows took about as long as between their links it does.

    It takes time to tell: where nothing is in doubt it is asked of steps of LONG_NS and more only.
    """
    usual = usual_delay(links, a, b)
    if usual < 0:
        return UNKNOWN
    return UNUSUAL if abs(delta - usual) > 4 * usual + LATE_NS else USUAL


@inner_plain
def cell_of(
    x: Any, y: Any, lengths: Any, changed: Any, several: Any, ambiguous: Any, repeated: Any,
    delay: Any,
) -> int:  # fmt: skip
    """Return the cell of the join of two rows, without proof; `changed`: a tuple was translated.

    `x`, `y`: their `Identity.traits`; `lengths` of their payloads. Numbers alone: to hand over an
    array takes longer than all that is done here.
    """
    level = 3 if several > 4 else (2 if several > 2 else several - 1)
    cell = int(ambiguous)
    cell = cell * 2 + int(changed)
    cell = cell * 2 + int(repeated)
    cell = cell * 4 + max(level, 0)
    cell = cell * 4 + min(x & WITNESSES, y & WITNESSES)
    cell = cell * 3 + delay
    hidden = lengths[0] > 0 and (x & NO_DIGEST) != (y & NO_DIGEST)
    cell = cell * 2 + int(hidden)
    return int(cell * 2 + int(lengths[0] != lengths[1]))


def unusual(cells: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the cells of the same joins where it is not known how long they usually take."""
    delay = cells // DELAY % PARTS[-3]
    found: NDArray[np.int16] = np.where(delay == USUAL, cells + DELAY * UNKNOWN, cells)
    return found


def _lower(joins: NDArray[np.float64], wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    # Wilson's lower bound of the share that is right (E. B. Wilson, JASA 22, 1927).
    right = 1 - wrong / np.maximum(joins, 1)
    spread = Z * np.sqrt(right * (1 - right) / np.maximum(joins, 1) + (Z / (2 * joins)) ** 2)
    bound: NDArray[np.float64] = (right + Z**2 / (2 * joins) - spread) / (1 + Z**2 / joins)
    return bound


Counts = NDArray[np.int64]


def _levels(
    measured: dict[int, tuple[int, int]],
) -> tuple[NDArray[np.float64], Counts, Counts]:
    # Of each cell the confidence, and the joins and wrong joins that say it: its own or, where
    # those are less than ENOUGH, those of the cells that differ in its last parts only.
    joins, wrong = np.zeros(CELLS), np.zeros(CELLS)
    for cell, (count, bad) in measured.items():
        joins[cell], wrong[cell] = count, bad
    found = np.full(CELLS, np.nan)
    of, bad_of = np.zeros(CELLS, np.int64), np.zeros(CELLS, np.int64)
    for kept in range(len(PARTS), -1, -1):
        group = np.arange(CELLS) // int(np.prod(PARTS[kept:]))
        all_of, all_bad = np.bincount(group, joins), np.bincount(group, wrong)
        known = np.isnan(found) & ((all_of >= ENOUGH)[group] | (kept == 0))
        found[known] = _lower(np.maximum(all_of, 1.0), all_bad.astype(np.float64))[group[known]]
        of[known], bad_of[known] = all_of[group[known]], all_bad[group[known]]
    return np.minimum(found, CERTAIN), of, bad_of


def table(measured: dict[int, tuple[int, int]]) -> NDArray[np.float32]:
    """Return the confidence of each cell (float32, shape (CELLS,)) from {cell: (joins, wrong)}.

    A cell with less than ENOUGH joins takes those of the cells that differ in its last parts only.
    """
    bounded: NDArray[np.float32] = _levels(measured)[0].astype(np.float32)
    return bounded


CONFIDENCE = table(MEASURED)
#: The most that a join claims for which numbers were shifted to be compared: counted are flows.
RENUMBERED = float(_lower(np.array([SHIFTED[0]], float), np.array([SHIFTED[1]], float))[0])


def counted_on(confidence: float) -> tuple[int, int]:
    """Return how many joins of simulated networks say this confidence, and how many were wrong.

    Several situations may say the same (CERTAIN is the most that is said): then of all of them.
    """
    values, joins, wrong = _levels(MEASURED)
    same = values.astype(np.float32) == np.float32(confidence)
    if not same.any() and np.float32(confidence) == np.float32(RENUMBERED):
        return SHIFTED
    pairs = np.unique(np.column_stack([joins[same], wrong[same]]), axis=0)
    return int(pairs[:, 0].sum()), int(pairs[:, 1].sum())
