"""Captures of every kind → observation batches: the entry of all offline commands."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracer.core.batch import Gap, ObservationBatch, concat
from tracer.core.errors import InputError
from tracer.core.warnings import InputWarning
from tracer.sources.assembly import Assembler
from tracer.sources.capture import Capture, open_capture
from tracer.sources.contents import gaps_of, packet_windows, read_whole
from tracer.sources.decode.rows import Workers
from tracer.sources.duplicates import Duplicates
from tracer.sources.findings import Findings
from tracer.sources.inputs import Input, find_inputs
from tracer.sources.memory import row_limit
from tracer.sources.remarks import absent_devices, absent_interfaces
from tracer.sources.stream import WINDOW

LEAST_ROWS, MOST_ROWS = 1 << 12, 1 << 16  # of a batch of captures that are read side by side
LEAST_WINDOW, WINDOWS = 1 << 18, 16  # bytes of one of them, how many whole ones all have together
Progress = Callable[[int, int | None], None]  # bytes read of all inputs, their sum if known


@dataclass(frozen=True, slots=True)
class CaptureInfo:
    """What was read from one capture."""

    name: str
    kind: str  # pcap, pcapng, tcpdump-text or recording
    packets: int
    size: int  # bytes read of the file, as stored
    compression: str | None = None
    dropped: int | None = None  # packets its kernel or program lost; None: the file does not say


@dataclass(frozen=True, slots=True)
class ReadResult:
    """All observations of the inputs, what was wrong and what was read.

    `lost` is what recordings say their tracer lost.
    """

    batch: ObservationBatch
    warnings: tuple[InputWarning, ...]
    captures: tuple[CaptureInfo, ...]
    lost: dict[str, int]


def read(
    inputs: Sequence[str | Path],
    *,
    points: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    limit: int | None = None,
) -> ReadResult:
    """Return every packet of the inputs in one batch, in the order of inputs and files.

    Inputs are files, folders and `-`; `points` are the `--point NAME=FILE` options. At most `limit`
    packets are kept (by default what half the free memory holds); what is left unread is told by a
    warning. Raises InputError when a path cannot be opened or no input can be used.
    """
    limit = row_limit() if limit is None else limit
    reading = Reading(inputs, points=points, progress=progress, limit=limit)
    batches = list(reading.batches())
    batch = batches[0] if len(batches) == 1 else concat(batches)
    return ReadResult(batch, reading.warnings, tuple(reading.captures), reading.lost)


class Reading:
    """Reads inputs; `warnings`, `captures` and `lost` are complete once `batches` is exhausted.

    `rows` bounds the packets of a batch (None: as few batches as can be), `limit` all of them.
    `workers` decode for other readings, too.
    """

    def __init__(
        self,
        inputs: Sequence[str | Path],
        *,
        points: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        rows: int | None = None,
        limit: int | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._inputs, found = find_inputs(inputs, points or {})
        self._warnings = list(found)
        self._progress = progress
        sizes = [given.size for given in self._inputs]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        self._done = 0
        self._rows, self._left = rows, limit
        self._window = WINDOW
        self._duplicates = Duplicates()
        self._assembler = Assembler(workers, rows)
        self.captures: list[CaptureInfo] = []
        self.lost: dict[str, int] = {}

    @classmethod
    def side_by_side(
        cls, inputs: Sequence[str | Path], points: Mapping[str, str], rows: int
    ) -> tuple[list["Reading"], tuple[InputWarning, ...]]:
        """Return a reading for each capture, to be read in turns, and what was wrong with inputs.

        Their batches are such that one of each has `rows` in all, at least LEAST_ROWS, at most
        MOST_ROWS. A file that is there twice gets one reading, and a warning.
        """
        whole = cls(inputs, points=points)
        rows = min(max(rows // max(1, len(whole._inputs)), LEAST_ROWS), MOST_ROWS)
        readings = []
        workers = Workers()  # one capture is decoded at a time
        for given in whole._inputs:
            twin = whole._duplicates.twin_of(given.path)
            if twin is not None:
                findings = Findings(given.name)
                findings.add("same-file", f"it is the same as {twin}; it was read once only")
                whole._warnings += findings.warnings()
                continue
            whole._duplicates.add(given.path, given.name)
            alone = cls((), rows=rows, workers=workers)
            alone._inputs = [given]
            window = WINDOWS * WINDOW // len(whole._inputs)
            alone._window = min(max(window, LEAST_WINDOW), WINDOW)
            readings.append(alone)
        return readings, whole.warnings

    @property
    def warnings(self) -> tuple[InputWarning, ...]:
        """What was wrong with the inputs, in the order read."""
        return tuple(self._warnings)

    @property
    def is_repeatable(self) -> bool:
        """Whether the inputs can be read twice: files can, streams cannot."""
        return all(given.size is not None for given in self._inputs)

    def gaps(self) -> tuple[Gap, ...]:
        """Return what the captures say they lost; they are read for it, but nothing is decoded.

        Those that cannot be read say nothing: `batches` tells what is wrong. Not for streams.
        """
        found: list[Gap] = []
        for given in self._inputs:
            with contextlib.suppress(InputError):
                found += gaps_of(given, self._window)
        return tuple(found)

    def batches(self) -> Iterator[ObservationBatch]:
        """Yield the observations; raises InputError when no input can be used."""
        refusals = []
        for given in self._inputs:
            findings = Findings(given.name)
            try:
                yield from self._input(given, findings)
            except InputError as error:
                refusals.append(error)
                findings.add("unusable", str(error))
            self._warnings += findings.warnings()
        if refusals and not self.captures:
            raise refusals[0]
        if self._assembler.rows or self._rows is None:
            yield self._assembler.flush()
        self._warnings += self._assembler.late_warnings()
        for given in self._inputs:
            if places := self._assembler.places.get(given.name):
                self._warnings += absent_devices(given.name, given.naming.entries, places)

    def _input(self, given: Input, findings: Findings) -> Iterator[ObservationBatch]:
        twin = self._duplicates.twin_of(given.path)
        if twin is not None:
            findings.add("same-file", f"it is the same as {twin}; it was read once only")
            return
        capture = open_capture(given.path, findings, self._window)
        try:
            is_whole = capture.packets is None or capture.kind == "recording"
            contents = self._whole if is_whole else self._packets
            packets = yield from contents(given, capture, findings)
        finally:
            capture.close()
        self._finish(given, capture, packets, findings)

    def _finish(self, given: Input, capture: Capture, packets: int, findings: Findings) -> None:
        if capture.buffer.error is not None:
            findings.add(
                "read-error",
                f"reading stopped before the end of the file: {capture.buffer.error}",
                capture.buffer.position,
            )
        if packets:
            self._duplicates.add(given.path, given.name)
        elif not findings.warnings():
            findings.add("no-packets", "no packets inside")
        self._done += capture.file.taken
        if capture.packets is not None and packets:
            count = len(capture.packets.interfaces)
            for kind, message, number in absent_interfaces(given.naming.entries, count):
                findings.add(kind, message, count=number)
        dropped = capture.packets.dropped if capture.packets is not None else None
        self.captures.append(
            CaptureInfo(
                given.name, capture.kind, packets, capture.file.taken, capture.compression, dropped
            )
        )

    def _packets(
        self, given: Input, capture: Capture, findings: Findings
    ) -> Generator[ObservationBatch, None, int]:
        assert capture.packets is not None
        self._assembler.begin(given.name, given.naming, capture.packets.interfaces)
        capture.buffer.before_overwriting = self._assembler.wait_for
        count = 0
        for window in packet_windows(capture, findings, self._left, self._room):
            self._assembler.add(window)
            count += len(window.frames)
            self._take(len(window.frames), capture)
            if self._rows is not None and self._assembler.rows >= self._rows:
                yield self._assembler.flush()
        if self._rows is not None and self._assembler.rows:
            yield self._assembler.flush()
        return count

    def _whole(
        self, given: Input, capture: Capture, findings: Findings
    ) -> Generator[ObservationBatch, None, int]:
        batch, lost = read_whole(given, capture, findings)
        for kind, number in lost.items():
            self.lost[kind] = self.lost.get(kind, 0) + number
        if self._assembler.rows:
            yield self._assembler.flush()
        batch = self._assembler.adopt(batch)
        self._take(len(batch), capture)
        if self._rows is None:
            yield batch
        else:
            for start in range(0, len(batch), self._rows):
                yield batch.take(np.arange(start, min(start + self._rows, len(batch))))
        return len(batch)

    def _room(self) -> int | None:
        # Packets the batch under way still has room for.
        return None if self._rows is None else self._rows - self._assembler.rows

    def _take(self, packets: int, capture: Capture) -> None:
        if self._left is not None:
            self._left = max(0, self._left - packets)
        if self._progress is not None:
            self._progress(self._done + capture.file.taken, self._total)
