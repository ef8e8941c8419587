"""A window's packets, and those of former ones that it is joined with, as one batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch, concat
from tracer.core.point import Point
from tracer.core.reused import ReusedMemory
from tracer.correlate.hashing import Codes


@dataclass(frozen=True, slots=True)
class Window:
    """Batches of each capture, up to `until_ns` by their stamps (None: all that were left).

    `following` has the next row of each capture, which is not part of it: the capture goes on.
    """

    given: list[list[ObservationBatch]]
    following: list[list[ObservationBatch]]
    until_ns: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """What one capture left to the next window: `number` of each row's journey, 0: not given out.

    It is -1 where a row is in no journey.
    """

    batch: ObservationBatch
    number: Codes


@dataclass(frozen=True, slots=True)
class Together:
    """A batch, capture after capture, as when all are read one after the other.

    `number` of each row as in `Held`, `is_next`: rows of the next window; capture c has the rows
    from `bounds[c]` to before `bounds[c + 1]`. `last`: the last row, not of the next window, of
    each capture and of each point; a row may be there twice.
    """

    batch: ObservationBatch
    number: Codes
    is_next: NDArray[np.bool_]
    bounds: Codes
    last: Codes


def together(held: Sequence[Held], window: Window, memory: ReusedMemory) -> Together:
    """Return what is held of each capture, and what a window gives, in memory for the packets.

    The window is empty then.
    """
    parts: list[ObservationBatch] = []
    numbers: list[Codes] = []
    bounds, follows, last = [0], [], []
    for before, given, after in zip_longest(held, window.given, window.following):
        own = [before.batch if before else ObservationBatch(), *(given or [])]
        end = bounds[-1] + sum(map(len, own))
        if end > bounds[-1]:
            last.append(end - 1)
        numbers.append(before.number if before else np.empty(0, np.int64))
        numbers.append(np.zeros(sum(map(len, [*own[1:], *(after or [])])), np.int64))
        parts += own
        parts += after or []
        bounds.append(end + sum(map(len, after or [])))
        follows.append(np.arange(end, bounds[-1]))
    window.given.clear()  # what is in the batch now is not needed twice
    is_next = np.zeros(bounds[-1], np.bool_)
    is_next[np.concatenate([np.empty(0, np.int64), *follows])] = True
    last += _last_of_points(parts, is_next)
    return Together(
        concat(parts, memory), np.concatenate([np.empty(0, np.int64), *numbers]), is_next,
        np.array(bounds), np.array(last, np.int64),
    )  # fmt: skip


def _last_of_points(parts: Sequence[ObservationBatch], is_next: NDArray[np.bool_]) -> list[int]:
    # From the end on, until each point was seen: most captures are of one.
    last: dict[Point, int] = {}
    end = len(is_next)
    for part in reversed(parts):
        start = end - len(part)
        if len(part) and not is_next[start] and not last.keys() >= set(part.points):
            code = part.packets["point"]
            first = len(part) - 1 if len(part.points) == 1 and code[-1] == 0 else 0
            row = np.full(len(part.points) + 1, -1)
            row[code[first:]] = np.arange(start + first, end)  # of several the last one stays
            for point, at in zip(part.points, row.tolist()[:-1], strict=True):
                if at >= 0:
                    last.setdefault(point, at)
        end = start
    return list(last.values())
