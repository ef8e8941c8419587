"""One capture opened: what it is, by its content alone, and its packets."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, BinaryIO, Protocol, cast

from tracer.core.errors import InputError
from tracer.sources.findings import Findings
from tracer.sources.frames import Interface, Window
from tracer.sources.packet_recording.reader import is_recording, was_recorded
from tracer.sources.pcap import PcapReader, is_pcap
from tracer.sources.pcapng.options import is_pcapng
from tracer.sources.stream import WINDOW, Buffer, FileStream, open_buffer, open_input

_HEAD = 4096
_PARQUET = b"PAR1"
_JOURNEYS = b'{"schema":1,"journey":'  # of `--format jsonl`


class PacketReader(Protocol):
    """What container readers have in common."""

    kind: str
    interfaces: list[Interface]

    @property
    def dropped(self) -> int | None:
        """Packets lost before they reached the file, None when the file does not say."""

    def windows(self) -> Iterator[Window]:
        """Yield windows of packets in file order."""


@dataclass(slots=True)
class Capture:
    """An opened capture; `kind` is pcap, pcapng, tcpdump-text or recording.

    `packets` is set for pcap and pcapng, also where it is a recording; of a text, `text` gives the
    bytes.
    """

    kind: str
    compression: str | None
    buffer: Buffer
    file: FileStream
    packets: PacketReader | None = None

    def text(self) -> BinaryIO:
        """Return the (decompressed) bytes as a stream."""
        return cast(BinaryIO, io.BufferedReader(_Raw(self.buffer), 1 << 16))

    def close(self) -> None:
        """Close the file."""
        self.buffer.close()


def open_capture(path: str, findings: Findings, window: int = WINDOW) -> Capture:
    """Return the capture behind a path or `-`, to be read in windows of so many bytes.

    Raises InputError when it cannot be opened, is empty, or is nothing that can be read.
    """
    file = open_input(path)
    try:
        buffer, compression = open_buffer(file, findings, window)
        capture = Capture("", compression, buffer, file)
        _recognise(path, capture, findings)
    except BaseException:
        file.close()
        raise
    return capture


def is_capture(path: str) -> bool:
    """Return whether a file's content is, or was before it was damaged, a capture of any kind."""
    findings = Findings(path)
    try:
        open_capture(path, findings, _HEAD).close()
    except InputError:
        return bool(findings.warnings())
    return True


def is_readable(path: str) -> bool:
    """Return whether a file is a capture of any kind that can be read, be it to some byte only."""
    try:
        capture = open_capture(path, Findings(path), _HEAD)
        capture.close()
        if capture.kind == "recording" and capture.packets is None:
            from tracer.sources.recording import read_recording  # Arrow takes a while to load

            read_recording(Path(path))  # Parquet may be anything
    except InputError:
        return False
    return True


def _recognise(path: str, capture: Capture, findings: Findings) -> None:
    buffer = capture.buffer
    head = buffer.head(_HEAD)
    try:
        if is_pcap(head):
            capture.packets = PcapReader(buffer, findings)
        elif is_pcapng(head):
            from tracer.sources.pcapng.reader import PcapngReader

            capture.packets = PcapngReader(buffer, findings)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error.message}", error.hint) from None
    if capture.packets is not None:
        capture.kind = capture.packets.kind
        if was_recorded(head):
            _recognise_recording(path, capture, findings)
    elif head[:4] == _PARQUET and capture.compression is None:
        if not os.path.isfile(path):
            raise InputError(
                f"{path} is Parquet, which can be read from a file only.",
                "Put it into a file, and give that.",
            )
        capture.kind = "recording"
    elif _is_text(head):
        capture.kind = "tcpdump-text"
    else:
        raise _refusal(path, head, buffer, findings)


def _recognise_recording(path: str, capture: Capture, findings: Findings) -> None:
    if capture.compression is None and is_recording(path):
        capture.kind = "recording"
        return
    findings.add(
        "incomplete-recording",
        "`tracer follow` wrote it, but did not complete it, or it was changed or compressed since: "
        "its packets were read, not what the kernel knew of them",
    )


def _is_text(head: bytes) -> bool:
    from tracer.sources.tcpdump_text import sniff  # a reader that most captures never need

    return sniff(head)


def _refusal(path: str, head: bytes, buffer: Buffer, findings: Findings) -> InputError:
    damage = findings.warnings()
    if buffer.error:
        return InputError(f"{path} cannot be read: {buffer.error}.", "Copy the file again.")
    if not head and damage:
        return InputError(f"{path} cannot be used: {damage[0].message}.", "Copy the file again.")
    if not head:
        return InputError(f"{path} is empty.", "Capture again, with `tcpdump -w`.")
    if head.startswith(_JOURNEYS):
        return InputError(
            f"{path} holds journeys, which are joined already.",
            "Give `tracer report` the file alone, such as `tracer offline -o FILE.jsonl` makes.",
        )
    return InputError(
        f"{path} is not a capture: it begins with {head[:8].hex(' ')}.",
        "Give pcap or pcapng (also .gz, .zst, .xz), text that tcpdump printed, or a recording;"
        f" `file {quote(path)}` says what it is.",
    )


class _Raw(io.RawIOBase):
    # The rest of a buffer as a raw stream.
    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target)
        self._buffer.fill(1)
        count = min(len(self._buffer), len(view))
        start = self._buffer.start
        view[:count] = self._buffer.data[start : start + count].data
        self._buffer.consume(count)
        return count
