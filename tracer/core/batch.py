"""A batch of observations: columns, the points they were seen at, the captures they came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.point import Point
from tracer.core.records import copy_into, empty, joined
from tracer.core.reused import ReusedMemory
from tracer.core.schema import (
    BY_NAME,
    PACKET_DTYPE,
    SECTION_DTYPES,
    SECTIONS,
    StructuredArray,
    null_of,
)

_BLOCK = 4096  # rows that are changed while they are still in the cache
_SECTION_OF = {column.name: name for name, columns in SECTIONS.items() for column in columns}


def _empty_sections() -> dict[str, StructuredArray]:
    return {name: np.empty(0, dtype) for name, dtype in SECTION_DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Gap:
    """Packets that the capture at a point lost between two stamps (UTC ns), as it says itself.

    `explains`: whether that is all that is missing there; None: to be judged from the batch.
    """

    point: Point
    first_ns: int
    last_ns: int
    packets: int
    explains: bool | None = None


@dataclass(slots=True)
class ObservationBatch:
    """Observations as columns.

    `packets` has PACKET_DTYPE, one record an observation; `sections` maps each section name to its
    sparse records (`row` ascending); `points` and `captures` are what those columns index into.
    `labels` names numbers that only one kernel can name: column → number → word (`drop_reason`).
    `watched_ns` says until when (UTC) a tracer watched, where it did: later than its last packet.
    `gaps`: what captures say they lost.
    """

    packets: StructuredArray = field(default_factory=lambda: np.empty(0, PACKET_DTYPE))
    sections: dict[str, StructuredArray] = field(default_factory=_empty_sections)
    points: tuple[Point, ...] = ()
    captures: tuple[str, ...] = ()
    labels: dict[str, dict[int, str]] = field(default_factory=dict)
    watched_ns: int | None = None
    gaps: tuple[Gap, ...] = ()

    def __len__(self) -> int:
        return len(self.packets)

    def column(self, name: str) -> NDArray[Any]:
        """Return one column, shape (rows,); a section's is spread over all rows, null elsewhere.

        Addresses are named by their halves, `src_hi` and `src_lo`. Raises KeyError for no column.
        """
        if name in (PACKET_DTYPE.names or ()):
            return self.packets[name]
        base = name if name in BY_NAME else name.removesuffix("_hi").removesuffix("_lo")
        section = self.sections[_SECTION_OF[base]]
        spread = np.full(len(self), null_of(BY_NAME[base]), section.dtype[name])
        spread[section["row"]] = section[name]
        return spread

    def take(self, rows: NDArray[np.integer[Any]]) -> "ObservationBatch":
        """Return the given rows (each at most once), in the given order."""
        sections = dict(self.sections)
        if any(len(section) for section in sections.values()):
            place = np.full(len(self), -1, np.int64)
            place[rows] = np.arange(len(rows))
            for name, section in self.sections.items():
                rows_now = place[section["row"]]
                moved = section.compress(rows_now >= 0)
                moved["row"] = rows_now[rows_now >= 0]
                if (np.diff(moved["row"]) < 0).any():
                    moved = moved.take(np.argsort(moved["row"], kind="stable"))
                sections[name] = moved
        packets = self.packets.take(rows)  # records are moved whole: ten times as fast as by index
        return ObservationBatch(
            packets, sections, self.points, self.captures, self.labels, self.watched_ns, self.gaps
        )

    def between(self, start: int, stop: int) -> "ObservationBatch":
        """Return the rows from `start` to before `stop`; the packets are not copied."""
        sections = {}
        for name, section in self.sections.items():
            first, last = np.searchsorted(section["row"], (start, stop))
            sections[name] = section[first:last].copy()
            sections[name]["row"] -= start
        return ObservationBatch(
            self.packets[start:stop], sections, self.points, self.captures, self.labels,
            self.watched_ns, self.gaps,
        )  # fmt: skip

    def rows_with(self, section: str) -> NDArray[np.int64]:
        """Return the rows that have a record in a section, ascending, shape (n,)."""
        rows: NDArray[np.int64] = self.sections[section]["row"]
        return rows


def concat(
    batches: Sequence[ObservationBatch], memory: ReusedMemory | None = None
) -> ObservationBatch:
    """Return all observations in one batch, in the given order; equal points become one.

    The packets are put into `memory`, if there is some.
    """
    points: dict[Point, int] = {}
    captures: dict[str, int] = {}
    packets = (memory.empty if memory else empty)(sum(map(len, batches)), PACKET_DTYPE)
    sections = {
        name: joined([b.sections[name] for b in batches], dtype)
        for name, dtype in SECTION_DTYPES.items()
    }
    filled = dict.fromkeys(SECTION_DTYPES, 0)
    start = 0
    for batch in batches:
        codes = {
            "point": _new_codes([points.setdefault(p, len(points)) for p in batch.points]),
            "capture": _new_codes([captures.setdefault(c, len(captures)) for c in batch.captures]),
        }
        _copy_recoded(packets[start : start + len(batch)], batch.packets, codes)
        for name, section in batch.sections.items():
            first = filled[name]
            filled[name] = first + len(section)
            sections[name]["row"][first : filled[name]] += start
        start += len(batch)
    labels: dict[str, dict[int, str]] = {}
    for batch in batches:
        for column, words in batch.labels.items():
            labels.setdefault(column, {}).update(words)
    ends = [batch.watched_ns for batch in batches if batch.watched_ns is not None]
    watched = max(ends, default=None)
    gaps = tuple(dict.fromkeys(gap for batch in batches for gap in batch.gaps))
    return ObservationBatch(
        packets, sections, tuple(points), tuple(captures), labels, watched, gaps
    )


def _new_codes(codes: list[int]) -> NDArray[np.int32] | None:
    # What becomes of each code, None where they all stay.
    if codes == list(range(len(codes))):
        return None
    return np.array([*codes, -1], np.int32)  # -1 (unknown) is the last entry, which is -1 again


def _copy_recoded(
    target: StructuredArray, packets: StructuredArray, codes: dict[str, NDArray[np.int32] | None]
) -> None:
    changed = [(name, new) for name, new in codes.items() if new is not None]
    size = _BLOCK if changed else max(len(packets), 1)
    for start in range(0, len(packets), size):
        block = target[start : start + size]
        copy_into(block, packets[start : start + size])
        for name, new in changed:
            old = block[name]
            if len(new) == 2 and not old.any():  # of one point: a tenth of the time
                old[:] = new[0]
            else:
                old[:] = new[old]
