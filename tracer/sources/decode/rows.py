"""Packets → rows, on all processors: the decoder's entry."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Decode
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray
from tracer.sources.decode.fill import ORIGIN_DTYPE, null_words
from tracer.sources.decode.growth import GrowingRecords
from tracer.sources.decode.scratch import Piece, Scratch, Task

PIECE = 16384  # rows a thread fills in one go at most: some 3 MB, a few milliseconds
SMALLEST_PIECE = 1024  # fewer are not worth a thread


@dataclass(frozen=True, slots=True)
class DecodedFrames:
    """Rows of one capture.

    `packets` has PACKET_DTYPE, shape (n,), `frame` counted on and `point` an index into
    `origins` (ORIGIN_DTYPE), which lists each of them that was seen, in order of
    appearance. `sections` maps every section name to its records, `row` ascending.
    """

    packets: StructuredArray
    sections: dict[str, StructuredArray]
    origins: StructuredArray

    @property
    def undecoded(self) -> dict[str, int]:
        """How many packets were not decoded to the end, by `Decode` label."""
        counts = np.bincount(self.packets["decode"], minlength=len(Decode))
        return {kind.label: int(counts[kind]) for kind in Decode if kind and counts[kind]}

    @property
    def direction(self) -> NDArray[np.int8]:
        """`core.point.Direction` of each row, shape (n,)."""
        directions: NDArray[np.int8] = self.origins["direction"].astype(np.int8)
        return np.take(directions, self.packets["point"])

    @property
    def interface(self) -> NDArray[np.int32]:
        """The interface of each row's frame, shape (n,)."""
        interfaces: NDArray[np.int32] = self.origins["interface"]
        return np.take(interfaces, self.packets["point"])


class Workers:
    """Threads that decode, and what each needs beside the rows; several decoders may share them."""

    def __init__(self) -> None:
        self._scratches: list[Scratch] = []
        # One processor finds the next packets meanwhile.
        self.threads = len(os.sched_getaffinity(0)) - 1
        self._pool: ThreadPoolExecutor | None = None

    def pieces(self, tasks: list[Task], parts: list[StructuredArray]) -> Iterator[Piece]:
        """Fill each part from its task and yield the pieces, in order."""
        if self.threads < 1 or sum(map(len, parts)) < SMALLEST_PIECE:
            return map(self._fill, tasks, parts)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads)
        return self._pool.map(self._fill, tasks, parts)

    def _fill(self, task: Task, rows: StructuredArray) -> Piece:
        # Each thread takes a scratch of its own; list.pop and append are atomic.
        try:
            scratch = self._scratches.pop()
        except IndexError:
            scratch = Scratch(PIECE)
        piece = scratch.fill(task, rows)
        self._scratches.append(scratch)
        return piece


class Decoder:
    """Rows of a capture that comes in windows; memory grows with the rows, not with the bytes.

    `most`: how many rows there are until they are taken, where that is known.
    """

    def __init__(self, workers: Workers | None = None, most: int | None = None) -> None:
        self._workers = workers or Workers()
        self._packets = GrowingRecords(PACKET_DTYPE, most or 0)
        self._sections: dict[str, list[StructuredArray]] = {name: [] for name in SECTION_DTYPES}
        self._origins: dict[tuple[int, ...], int] = {}
        self._data: NDArray[np.uint8] | None = None
        self._running: Iterable[tuple[Piece, StructuredArray, int]] = ()

    def add(
        self,
        data: NDArray[np.uint8],
        frames: StructuredArray,
        linktypes: NDArray[np.int32],
        first_frame: int = 1,
        capture: int = -1,
    ) -> None:
        """Start decoding `frames` (FRAME_DTYPE) in `data`, whose first is number `first_frame`.

        Their rows are of `capture`. `linktypes` is int32 per interface. `data` and `frames` must
        stay as they are until the next `add`, `finish`, or `wait_for(data)`; the caller meanwhile
        may find the next packets.
        """
        self._wait()
        start = len(self._packets)
        rows = self._packets.extend(len(frames))
        # A few pieces for each of several threads, so that none waits long for the last.
        threads = self._workers.threads
        pieces = 4 * threads if threads > 1 else 1
        size = min(max(-(-len(frames) // pieces), SMALLEST_PIECE), PIECE)
        tasks = list(_tasks(data, frames, linktypes, first_frame, capture, size))
        parts = [rows[k : k + size] for k in range(0, len(rows), size)]
        starts = range(start, len(self._packets), size)
        self._data = data
        self._running = zip(self._workers.pieces(tasks, parts), parts, starts, strict=True)

    def wait_for(self, data: NDArray[np.uint8]) -> None:
        """Return once nothing in `data` is still to be decoded: it may then be overwritten."""
        if data is self._data:
            self._wait()

    def finish(self) -> DecodedFrames:
        """Return all rows added; the decoder is then empty."""
        self._wait()
        sections = {
            name: np.concatenate(parts) if parts else np.empty(0, SECTION_DTYPES[name])
            for name, parts in self._sections.items()
        }
        origins = np.array(list(self._origins), ORIGIN_DTYPE)
        decoded = DecodedFrames(self._packets.finish(), sections, origins)
        self._sections = {name: [] for name in SECTION_DTYPES}
        self._origins = {}
        return decoded

    def _wait(self) -> None:
        running, self._running, self._data = self._running, (), None
        for piece, part, start in running:
            self._keep(piece, part, start)

    def _keep(self, piece: Piece, rows: StructuredArray, start: int) -> None:
        # Count records from the capture's first row, and origins from the capture's first origin.
        for name, section in piece.sections.items():
            if len(section):
                section["row"] += start
                self._sections[name].append(section)
        names = [tuple(origin) for origin in piece.origins.tolist()]
        codes = [self._origins.setdefault(name, len(self._origins)) for name in names]
        if codes != list(range(len(codes))):
            rows["point"] = np.array(codes, np.int32)[rows["point"]]


def _tasks(
    data: NDArray[np.uint8],
    frames: StructuredArray,
    linktypes: NDArray[np.int32],
    first_frame: int,
    capture: int,
    size: int,
) -> Iterator[Task]:
    # One form for all callers, so that numba compiles once: contiguous and read-only.
    data, frames, linktypes = _frozen(data), _frozen(frames), _frozen(linktypes)
    null = null_words(capture)
    for start in range(0, len(frames), size):
        part = frames[start : start + size]
        yield Task(data, part, linktypes, first_frame + start, null)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
