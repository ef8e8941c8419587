"""Decompression in bounded memory, keeping everything that precedes damage.

Formats are told by their first bytes: gzip (RFC 1952), zstd (RFC 8878), xz. Concatenated members,
frames and streams are read through, as gzip -d, zstd -d and xz -d do. Nothing goes through a
temporary file: the readers take a capture window by window.
"""

import io
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from tracer.sources.findings import Findings

_INPUT = 1 << 16
_OUTPUT = 1 << 18
_XZ_OUTPUT = 1 << 12  # liblzma loses the output of the call that fails, so ask for little
_XZ_MEMORY = 1 << 28  # bytes the dictionary of a hostile file may ask for; xz -9 asks for 65 MiB
_ZSTD_WINDOW = 1 << 27  # as zstd -d without --long
_ZSTD_HEADER_START = 5  # bytes of a frame header that tell how long it is
_ZSTD_RLE = 1


class ByteStream(Protocol):
    """Bytes in order, read once."""

    def readinto(self, view: memoryview) -> int:
        """Fill the front of the view and return how many bytes; 0 is the end."""

    def close(self) -> None:
        """Release what is open."""


class _Member(Protocol):
    # One gzip member, zstd frame or xz stream.
    needs_input: bool
    is_complete: bool
    unused: bytes  # what follows the member, once it is complete

    def step(self, data: bytes) -> bytes: ...


class _DecodeError(Exception):
    # Carries what came out before the damage.
    def __init__(self, reason: str, output: bytes = b"") -> None:
        super().__init__(reason)
        self.output = output


def compression_of(head: bytes) -> str | None:
    """Return "gzip", "zstd", "xz" or None, from the first bytes of a file."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:4] == b"\x28\xb5\x2f\xfd" or _is_skippable(head):
        return "zstd"
    return "xz" if head[:6] == b"\xfd7zXZ\0" else None


class DecompressedStream:
    """The decompressed bytes of a stream; damage ends it and is noted in the findings."""

    def __init__(self, source: ByteStream, head: bytes, findings: Findings) -> None:
        """Read on from a stream whose first bytes have been taken as `head`."""
        self.name = compression_of(head) or ""
        self._source = source
        self._findings = findings
        self._pending = memoryview(b"")
        self._input = bytearray(_INPUT)
        self._data = head
        self._taken = len(head)
        self._members = 0
        self._member: _Member | None = None
        self._ended = False

    def readinto(self, view: memoryview) -> int:
        """Fill the front of the view with decompressed bytes; 0 is the end or the damage."""
        while not self._pending and not self._ended:
            self._pending = memoryview(self._step())
        count = min(len(view), len(self._pending))
        view[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        """Close the compressed stream."""
        self._source.close()

    def _step(self) -> bytes:
        if self._member is None and not self._start_member():
            return b""
        member = self._member
        assert member is not None
        if member.needs_input and not self._data and not self._more():
            self._end("truncated", "ends early")
            return b""
        data, self._data = self._data, b""
        try:
            output = member.step(data)
        except _DecodeError as error:
            self._end("corrupt", f"is damaged ({error})")
            return error.output
        if member.is_complete:
            self._data, self._member = member.unused, None
        return output

    def _start_member(self) -> bool:
        while True:
            if self._members:  # gzip and xz may pad with zeros
                self._data = self._data.lstrip(b"\0")
            if len(self._data) >= 4 or not self._more():  # four bytes tell what follows
                break
        self._ended = not self._data
        if not self._ended:
            self._members += 1
            self._member = _MEMBERS[self.name](self._data)
        return not self._ended

    def _more(self) -> bool:
        count = self._source.readinto(memoryview(self._input))
        self._data += memoryview(self._input)[:count]
        self._taken += count
        return count > 0

    def _end(self, kind: str, what: str) -> None:
        self._ended = True
        self._findings.add(
            f"{kind}-{self.name}",
            f"the {self.name} data {what} within the first {self._taken} bytes of the compressed"
            " file; what came before was read",
        )


def decompressed(data: bytes, findings: Findings, most: int) -> bytes:
    """Return bytes decompressed, as they are where they are not compressed; `most` at the most.

    Damage, and what was left out, is noted in the findings.
    """
    head = data[:_INPUT]
    if compression_of(head) is None:
        _note_size(len(data), findings, most)
        return data[:most]
    stream = DecompressedStream(io.BytesIO(data[_INPUT:]), head, findings)
    found, part = bytearray(), bytearray(_OUTPUT)
    while len(found) <= most and (count := stream.readinto(memoryview(part))):
        found += part[:count]
    _note_size(len(found), findings, most)
    return bytes(found[:most])


def _note_size(size: int, findings: Findings, most: int) -> None:
    if size > most:
        findings.add("too-large", f"it has more than {most} bytes; the rest was not read")


class _GzipMember:
    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._tail = b""
        self.needs_input, self.is_complete, self.unused = True, False, b""

    def step(self, data: bytes) -> bytes:
        data = self._tail + data
        before = self._inflate.copy()  # zlib loses the output of the call that fails
        try:
            output = self._inflate.decompress(data, _OUTPUT)
        except zlib.error as error:
            raise _DecodeError(str(error), _inflate_until_error(before, data)) from None
        self._tail = self._inflate.unconsumed_tail
        self.needs_input = not self._tail and len(output) < _OUTPUT
        self.is_complete, self.unused = self._inflate.eof, self._inflate.unused_data
        return output


def _inflate_until_error(state: "zlib._Decompress", data: bytes) -> bytes:
    # The most output that comes without the error, by bisection over its length.
    low, high, best = 0, _OUTPUT, b""
    while low < high:
        middle = (low + high + 1) // 2
        try:
            best = state.copy().decompress(data, middle)
            low = middle
        except zlib.error:
            high = middle - 1
    return best


class _XzStream:
    def __init__(self) -> None:
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        self.needs_input, self.is_complete, self.unused = True, False, b""

    def step(self, data: bytes) -> bytes:
        try:
            output = self._stream.decompress(data, _XZ_OUTPUT)
        except lzma.LZMAError as error:
            raise _DecodeError(str(error)) from None
        self.needs_input = self._stream.needs_input
        self.is_complete, self.unused = self._stream.eof, self._stream.unused_data
        return output


class _ZstdFrame:
    # Feeds libzstd header and blocks one by one (RFC 8878, 3.1.1): the output of a block comes
    # whole, is bounded to 128 KiB, and is not lost when the next block turns out to be damaged.
    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self._data = b""
        self._part = "header"
        self.needs_input, self.is_complete, self.unused = True, False, b""

    def step(self, data: bytes) -> bytes:
        self._data += data
        size = self._size()
        self.needs_input = size > len(self._data)
        if self.needs_input:
            return b""
        piece, self._data = self._data[:size], self._data[size:]
        if self._part == "header":
            self._part = "block"
        elif piece[0] & 1:
            self._part = "checksum"
        try:
            output: bytes = self._frame.decompress(piece)
        except zstandard.ZstdError as error:
            raise _DecodeError(str(error)) from None
        self.is_complete, self.unused = self._frame.eof, self._data
        return output

    def _size(self) -> int:
        # Bytes of the next part; more than there are as long as that cannot be said.
        if self._part == "checksum":
            return 4
        if self._part == "header":
            if len(self._data) < _ZSTD_HEADER_START:
                return _ZSTD_HEADER_START
            size: int = zstandard.frame_header_size(self._data)
            return size
        if len(self._data) < 3:
            return 3
        block = int.from_bytes(self._data[:3], "little")
        return 3 + (1 if block >> 1 & 3 == _ZSTD_RLE else block >> 3)


class _ZstdSkippable:
    def __init__(self) -> None:
        self._left = -1
        self._data = b""
        self.needs_input, self.is_complete, self.unused = True, False, b""

    def step(self, data: bytes) -> bytes:
        self._data += data
        if self._left < 0 and len(self._data) >= 8:
            self._left = 8 + int.from_bytes(self._data[4:8], "little")
        if self._left >= 0:
            self.unused = self._data[self._left :]
            self._left -= len(self._data) - len(self.unused)
            self._data = b""
            self.is_complete = self._left == 0
        return b""


def _is_skippable(head: bytes) -> bool:
    return len(head) >= 4 and head[0] >> 4 == 5 and head[1:4] == b"\x2a\x4d\x18"


def _zstd_member(data: bytes) -> _Member:
    return _ZstdSkippable() if _is_skippable(data) else _ZstdFrame()


_MEMBERS: dict[str, Callable[[bytes], _Member]] = {
    "gzip": lambda _: _GzipMember(),
    "zstd": _zstd_member,
    "xz": lambda _: _XzStream(),
}
