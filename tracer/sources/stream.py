"""Opening inputs and reading them window by window, so that memory stays bounded."""

import os
import select
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracer.core.errors import InputError, unreadable
from tracer.sources.compression import ByteStream, DecompressedStream, compression_of
from tracer.sources.findings import Findings

STDIN = "-"
WINDOW = 1 << 22  # bytes: what was just read is still in the processor's cache when it is walked
_HEAD = 512
_WAIT_MS = 200


@dataclass(slots=True)
class FileStream:
    """A file, FIFO or standard input as a stream of bytes; `taken` counts those read."""

    descriptor: int
    owned: bool = True
    taken: int = 0
    _waits: "select.poll | None" = field(init=False, default=None)  # None: its bytes are there

    def __post_init__(self) -> None:
        """Find out whether reading may have to wait for who writes."""
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            self._waits = select.poll()
            self._waits.register(self.descriptor, select.POLLIN)

    def readinto(self, view: memoryview) -> int:
        """Fill the front of the view and return how many bytes; 0 is the end."""
        count = self._read(view)
        self.taken += count
        return count

    def _read(self, view: memoryview) -> int:
        if self._waits is None:
            return os.readv(self.descriptor, [view])
        # A signal that comes just before a call that blocks is handled when it returns: never,
        # where nobody writes. So no call blocks for long.
        while True:
            while not self._waits.poll(_WAIT_MS):
                pass
            try:
                return os.readv(self.descriptor, [view])
            except BlockingIOError:  # another reader of the pipe was faster
                continue

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.owned:
            os.close(self.descriptor)
            self.owned = False


class Buffer:
    """A window that moves over a stream.

    `data` is shape (capacity,) uint8 of which `start:end` is read and not yet consumed; `offset`
    is the place of `data[0]` in the (decompressed) stream. Two arrays take turns as `data`, so that
    one can be decoded while the other fills; `before_overwriting` is called with the one in turn.
    """

    def __init__(self, stream: ByteStream, size: int = WINDOW) -> None:
        self._stream = stream
        self.data: NDArray[np.uint8] = np.empty(size, np.uint8)
        self._spare: NDArray[np.uint8] = np.empty(0, np.uint8)
        self.before_overwriting: Callable[[NDArray[np.uint8]], None] | None = None
        self.start = 0
        self.end = 0
        self.offset = 0
        self.error: str | None = None  # why reading stopped before the end
        self._ended = False

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def position(self) -> int:
        """Where the first unconsumed byte lies in the stream."""
        return self.offset + self.start

    def fill(self, need: int) -> bool:
        """Read until the window is full or the stream ends; return whether `need` bytes are there.

        Moves what is left to the front; the window grows when `need` is beyond it.
        """
        if len(self) >= need:
            return True
        self._make_room(need)
        view = self.data.data
        while not self._ended and self.end < len(self.data):
            count = self._read(view[self.end :])
            self._ended = count == 0
            self.end += count
        return len(self) >= need

    def widen(self, size: int = WINDOW) -> None:
        """Make the window at least `size` bytes from now on, and fill it."""
        self.fill(size)

    def head(self, size: int) -> bytes:
        """Return the next bytes without consuming them, at most `size`."""
        self.fill(size)
        return self.data[self.start : min(self.end, self.start + size)].tobytes()

    def consume(self, size: int) -> None:
        """Step over bytes that are in the window."""
        self.start += size

    def drain(self) -> int:
        """Read to the end of the stream and return how many bytes were left."""
        left = 0
        while self.fill(1):
            left += len(self)
            self.start = self.end
        return left

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _read(self, view: memoryview) -> int:
        try:
            return self._stream.readinto(view)
        except OSError as error:
            self.error = error.strerror
            return 0

    def _make_room(self, need: int) -> None:
        left = self.data[self.start : self.end]
        capacity = max(need, len(self.data))
        target = self._spare if len(self._spare) >= capacity else np.empty(capacity, np.uint8)
        if self.before_overwriting is not None:
            self.before_overwriting(target)
        target[: len(left)] = left
        self.data, self._spare = target, self.data
        self.offset += self.start
        self.start, self.end = 0, len(left)


def open_input(path: str | Path) -> FileStream:
    """Return a file, FIFO or `-` (standard input) opened for reading.

    Raises InputError when it cannot be opened, or is a socket, device or folder.
    """
    if str(path) == STDIN:
        if sys.stdin is None:
            raise InputError("Standard input is closed.", "Give a capture file, or pipe one in.")
        return FileStream(sys.stdin.fileno(), owned=False)
    kind = kind_of(path)
    if kind != "file":
        raise InputError(
            f"{path} is a {kind}, not a capture.", "Give a capture file, a folder, a FIFO or `-`."
        )
    try:
        # O_NONBLOCK: a FIFO is open at once, and reading it waits for who writes.
        return FileStream(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        raise unreadable(path, error) from None


def kind_of(path: str | Path) -> str:
    """Return "file" for what reads as bytes, else "folder", "socket" or "device".

    Raises InputError when there is no such path or it cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if stat.S_ISREG(mode) or stat.S_ISFIFO(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "socket" if stat.S_ISSOCK(mode) else "device"


def open_buffer(
    stream: FileStream, findings: Findings, window: int = WINDOW
) -> tuple[Buffer, str | None]:
    """Return the input's bytes, decompressed, and the compression found (None for none)."""
    buffer = Buffer(stream, _HEAD)
    head = buffer.head(_HEAD)
    compression = compression_of(head)
    if compression is None:
        buffer.widen(window)
        return buffer, None
    return Buffer(DecompressedStream(stream, head, findings), window), compression
