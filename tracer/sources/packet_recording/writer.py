"""Writes observations to a pcapng file as they come."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tracer.core.batch import ObservationBatch, concat
from tracer.core.errors import InputError
from tracer.core.point import Direction, Point
from tracer.sources.packet_recording import blocks
from tracer.sources.packet_recording.packets import Bytes, Frames, Offsets, packet_blocks
from tracer.sources.recording import VERSION
from tracer.sources.recording_table import Codes

Texts = tuple[Bytes, Offsets]
#: Blocks of columns are made of so many observations at least.
_ROWS = 1 << 12
_MOST_ROWS = 1 << 14  # and of so many at most: readers take no block beyond 16 MiB


class PacketRecordingWriter:
    """Writes batches to a pcapng file as they come; it is a recording once closed.

    `frames` gives the bytes of a batch's packets, `comments` their texts, `named` the name and
    description of a point's interface. `lost` and `watched_ns` are as in `RecordingWriter`;
    `left_out` counts observations that are in the columns alone. Raises InputError where the file
    cannot be written.
    """

    def __init__(
        self,
        path: Path,
        frames: Callable[[ObservationBatch], Frames],
        comments: Callable[[ObservationBatch], Texts],
        named: Callable[[Point], tuple[str, str]],
    ) -> None:
        self.lost: dict[str, int] = {}
        self.watched_ns: int | None = None
        self.left_out = 0
        self._frames, self._comments, self._named = frames, comments, named
        self._codes = Codes()
        self._interfaces: dict[tuple[Point, int], int] = {}
        self._gathered: list[ObservationBatch] = []
        self._rows = self._packets = 0
        self._places: list[int] = []  # of the blocks of columns
        self._path = path
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise self._refused(error) from error
        self._put(blocks.section())

    def write(self, batch: ObservationBatch) -> None:
        """Append a batch: its packets now, its columns with those of others."""
        frames = self._frames(batch)
        interfaces = self._interfaces_of(batch, frames)
        # The packet's number in this file is what `frame` means from now on.
        written = interfaces >= 0
        batch = ObservationBatch(
            batch.packets.copy(), batch.sections, batch.points, batch.captures, batch.labels
        )
        numbers = self._packets + np.cumsum(written)
        batch.packets["frame"] = np.where(written, numbers, -1)
        self._packets += int(written.sum())
        self.left_out += int((~written).sum())
        ways = np.array([*(point.direction for point in batch.points), -1], np.int64)
        times = np.maximum(batch.packets["time_ns"], 0)
        directions = ways[batch.packets["point"]]
        texts = self._comments(batch)
        self._put(packet_blocks(frames, interfaces, times, directions, texts))
        self._gathered.append(batch)
        self._rows += len(batch)
        if self._rows >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and the last block, after which the file is a recording.

        Does nothing where writing failed before.
        """
        if self._file.closed:
            return
        self._flush()
        lost = {name: number for name, number in self.lost.items() if number}
        if self._interfaces:
            words = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in lost.items())
            comment = f"lost by tracer, not by the network: {words or 'nothing'}"
            dropped = lost.get("ring_full", 0)
            self._put(blocks.statistics(self.watched_ns or 0, dropped, comment))
        footer = {
            "version": VERSION,
            **self._codes.footer(),
            "lost": self.lost,
            "watched_ns": self.watched_ns,
            "columns": self._places,
            "before": self._file.tell(),
        }
        self._put(blocks.end(json.dumps(footer).encode()), flush=True)
        self._file.close()

    def _interfaces_of(self, batch: ObservationBatch, frames: Frames) -> Any:
        # The interface of each packet, described when first needed; -1 without bytes.
        keys = batch.packets["point"].astype(np.int64) << 32 | frames.linktypes.astype(np.int64)
        distinct, codes = np.unique(keys, return_inverse=True)
        numbers = []
        for key in distinct.tolist():
            place, linktype = key >> 32, key & 0xFFFF_FFFF
            point = batch.points[place].towards(Direction.UNKNOWN)
            numbers.append(-1 if linktype >> 31 else self._interface(point, linktype))
        interfaces = np.array(numbers, np.int64)[codes]
        interfaces[frames.linktypes < 0] = -1
        return interfaces

    def _interface(self, point: Point, linktype: int) -> int:
        key = point, linktype
        if key not in self._interfaces:
            self._interfaces[key] = len(self._interfaces)
            self._put(blocks.interface(linktype, *self._named(point), point.mac))
        return self._interfaces[key]

    def _put(self, data: bytes, *, flush: bool = False) -> None:
        try:
            self._file.write(data)
            if flush:
                self._file.flush()
        except OSError as error:
            with suppress(OSError):  # what is left in its buffer cannot be written, either
                self._file.close()
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> InputError:
        message = f"{self._path} cannot be written: {error.strerror}."
        return InputError(message, "Name another file with --write.")

    def _flush(self) -> None:
        if not self._rows:
            return
        table = self._codes.table(concat(self._gathered))
        for start in range(0, len(table), _MOST_ROWS):
            self._places.append(self._file.tell())
            self._put(blocks.columns(_stream(table.slice(start, _MOST_ROWS))))
        self._put(b"", flush=True)
        self._gathered.clear()
        self._rows = 0


def _stream(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data
