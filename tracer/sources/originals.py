"""The bytes of packets that were read before, found again by capture and frame number."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracer.core.closing import Closing
from tracer.core.errors import InputError
from tracer.sources.capture import Capture, open_capture
from tracer.sources.findings import Findings
from tracer.sources.frames import Window
from tracer.sources.inputs import Input, find_inputs
from tracer.sources.stream import STDIN


@dataclass(frozen=True, slots=True)
class _Places:
    # Where the packets of a capture lie in a file, by frame number less one.
    descriptor: int
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int32]
    linktypes: NDArray[np.int32]


class Originals(Closing):
    """Gives packets of the inputs again; a context manager, as it holds the files open.

    A capture is looked through when its first packet is asked for: 16 bytes of memory a packet.
    Packets of compressed files are kept in a temporary file, others stay where they are. Standard
    input, tcpdump text and recordings have no bytes to give.
    """

    def __init__(
        self, inputs: Sequence[str | Path], *, points: Mapping[str, str] | None = None
    ) -> None:
        found, _ = find_inputs(inputs, points or {})
        self._inputs = {given.name: given for given in found}
        self._places: dict[str, _Places | None] = {}

    def packet(self, capture: str, frame: int) -> tuple[int, bytes] | None:
        """Return a packet's link type and captured bytes, None where they cannot be had."""
        if capture not in self._places:
            given = self._inputs.get(capture)
            self._places[capture] = None if given is None else _places_of(given)
        places = self._places[capture]
        if places is None or not 1 <= frame <= len(places.offsets):
            return None
        at, length = int(places.offsets[frame - 1]), int(places.lengths[frame - 1])
        data = os.pread(places.descriptor, length, at)
        return (int(places.linktypes[frame - 1]), data) if len(data) == length else None

    def close(self) -> None:
        """Close the files; the temporary ones are gone with that."""
        for places in self._places.values():
            if places is not None:
                os.close(places.descriptor)
        self._places.clear()


def _places_of(given: Input) -> _Places | None:
    if given.path == STDIN or given.size is None:  # a stream is gone once it was read
        return None
    try:
        capture = open_capture(given.path, Findings(given.name))
    except InputError:  # what is wrong with it was told when it was read
        return None
    try:
        return _looked_through(given, capture)
    finally:
        capture.close()


def _looked_through(given: Input, capture: Capture) -> _Places | None:
    if capture.packets is None:
        return None
    spool = None if capture.compression is None else tempfile.TemporaryFile()  # noqa: SIM115 -- outlives this
    written, parts = 0, []
    for window in capture.packets.windows():
        frames = window.frames
        offsets = frames["offset"] + capture.buffer.offset
        if spool is not None:
            offsets = written + np.cumsum(frames["cap_len"], dtype=np.int64) - frames["cap_len"]
            written += spool.write(_bytes_of(window))
        parts.append((offsets, frames["cap_len"].copy(), _linktypes_of(window)))
    if not parts:
        return None
    if spool is None:
        descriptor = os.open(given.path, os.O_RDONLY | os.O_CLOEXEC)
    else:
        spool.flush()
        descriptor = os.dup(spool.fileno())
        spool.close()
    return _Places(descriptor, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def _bytes_of(window: Window) -> bytes:
    data = window.data.data
    ends = zip(window.frames["offset"].tolist(), window.frames["cap_len"].tolist(), strict=True)
    return b"".join([data[at : at + length] for at, length in ends])


def _linktypes_of(window: Window) -> NDArray[np.int32]:
    # -1 is an interface the file does not describe.
    known: NDArray[np.int32] = np.append(window.linktypes, np.int32(-1))[window.frames["interface"]]
    return known
