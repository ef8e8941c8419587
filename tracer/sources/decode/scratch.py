"""What one thread needs besides the rows: null section records, a cursor, counters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.core.schema import SECTION_DTYPES, StructuredArray, null_record
from tracer.sources.decode.cursor import CURSOR_DTYPE
from tracer.sources.decode.fill import ORIGIN_DTYPE, ORIGINS, Words, as_words, fill

FILLED_SECTIONS = ("tunnel", "arp", "quoted")  # in the order of fill's counters
_NULLS = {name: null_record(SECTION_DTYPES[name]) for name in FILLED_SECTIONS}


@dataclass(frozen=True, slots=True)
class Task:
    """Packets for one call of `fill`: bytes, frames in them, link types, number of the first.

    `null` is what each row is before anything is known of its packet.
    """

    data: NDArray[np.uint8]
    frames: StructuredArray
    linktypes: NDArray[np.int32]
    first_frame: int
    null: Words


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call of `fill` gave besides rows: section records and the distinct origins."""

    sections: dict[str, StructuredArray]
    origins: StructuredArray


class Scratch:
    """Buffers for pieces of at most `capacity` packets; not to be shared by two threads at once."""

    def __init__(self, capacity: int) -> None:
        self._sections = {name: np.repeat(null, capacity) for name, null in _NULLS.items()}
        self._origins = np.empty(capacity, ORIGIN_DTYPE)
        self._cursors = np.zeros(1, CURSOR_DTYPE)
        self._used: NDArray[np.int64] = np.zeros(4, np.int64)

    def fill(self, task: Task, rows: StructuredArray) -> Piece:
        """Fill `rows` and return what else the packets had; `row` counts from the first of them."""
        self._used[:] = 0
        sections = self._sections
        fill(
            task.data,
            task.frames,
            task.linktypes,
            task.first_frame,
            rows,
            as_words(rows),
            task.null,
            sections["tunnel"],
            sections["arp"],
            sections["quoted"],
            self._origins,
            self._cursors,
            self._used,
        )
        return Piece(
            {name: self._taken(name, self._used[k]) for k, name in enumerate(FILLED_SECTIONS)},
            self._origins[: self._used[ORIGINS]].copy(),
        )

    def _taken(self, name: str, count: int) -> StructuredArray:
        # Only what was used has to be made null again for the next piece.
        used = self._sections[name][:count]
        taken = used.copy()
        used[:] = _NULLS[name]
        return taken
