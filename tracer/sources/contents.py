"""What is inside an opened capture: windows of packets, or a whole batch from another reader."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracer.core.batch import Gap, ObservationBatch
from tracer.sources.assembly import Assembler
from tracer.sources.capture import Capture, open_capture
from tracer.sources.decode.linktypes import KNOWN
from tracer.sources.findings import Findings
from tracer.sources.frames import Window
from tracer.sources.inputs import Input
from tracer.sources.remarks import absent_devices, absent_interfaces

if TYPE_CHECKING:
    from tracer.sources.recording import Recording


def packet_windows(
    capture: Capture, findings: Findings, limit: int | None, room: Callable[[], int | None]
) -> Iterator[Window]:
    """Yield the windows of a pcap or pcapng file, cut so that none is longer than `room()` says.

    After `limit` packets (None: no limit) reading stops with a warning.
    """
    assert capture.packets is not None
    left = limit
    for window in capture.packets.windows():
        _note_linktypes(window, capture, findings)
        for part in _parts(window, room):
            if left is not None and len(part.frames) > left:
                yield _slice(part, 0, left)
                _note_limit(capture, findings)
                return
            yield part
            left = None if left is None else left - len(part.frames)


def gaps_of(given: Input, window: int) -> tuple[Gap, ...]:
    """Return what a pcapng file says its captures lost; other files do not say it.

    Raises InputError when it cannot be opened.
    """
    findings = Findings(given.name)
    capture = open_capture(given.path, findings, window)
    try:
        if capture.kind != "pcapng" or capture.packets is None:
            return ()
        assembler = Assembler()
        assembler.begin(given.name, given.naming, capture.packets.interfaces)
        for _ in capture.packets.windows():
            pass
        return assembler.gaps()
    finally:
        capture.close()


def read_whole(
    given: Input, capture: Capture, findings: Findings
) -> tuple[ObservationBatch, dict[str, int]]:
    """Return the batch of a tcpdump text or a recording, and what its tracer lost."""
    if capture.kind == "recording":
        recording = _recording(Path(given.path), capture)
        findings.extend(recording.warnings)
        if capture.packets is not None:
            recording.batch.captures = (given.name,)
        if given.naming.entries:
            findings.add(
                "unused-point",
                "points.toml or --point names its place, but it is a "
                "recording, which says itself where each packet was seen",
            )
        return recording.batch, recording.lost
    from tracer.sources.tcpdump_text import read_text

    point, hint = given.naming.text_point()
    batch, warnings = read_text(capture.text(), point=point, capture=given.name, device_hint=hint)
    batch.points = tuple(
        replace(p, capture=given.naming.fallback) if p.device is None else p for p in batch.points
    )
    findings.extend(warnings)
    for kind, message, count in absent_interfaces(given.naming.entries, 1):
        findings.add(kind, message, count=count)
    findings.extend(absent_devices(given.name, given.naming.entries, {(0, -1)}))
    return batch, {}


def _recording(path: Path, capture: Capture) -> "Recording":
    # Imported here: both load pyarrow.
    if capture.packets is not None:
        from tracer.sources.packet_recording.reader import read_packet_recording

        return read_packet_recording(path)
    from tracer.sources.recording import read_recording

    return read_recording(path)


def _parts(window: Window, room: Callable[[], int | None]) -> Iterator[Window]:
    start = 0
    while start < len(window.frames):
        size = room() or len(window.frames)
        yield _slice(window, start, start + size)
        start += size


def _slice(window: Window, start: int, end: int) -> Window:
    return Window(
        window.data, window.frames[start:end], window.linktypes, window.first_frame + start
    )


def _note_linktypes(window: Window, capture: Capture, findings: Findings) -> None:
    # Few interfaces and many windows: a set is ten times as quick as np.isin.
    unknown = [n for n, kind in enumerate(window.linktypes.tolist()) if kind not in KNOWN]
    if not unknown:
        return
    odd = np.isin(window.frames["interface"], unknown)
    if not odd.any():
        return
    first = window.frames[np.argmax(odd)]
    findings.add(
        "unknown-linktype",
        f"packets of link type {window.linktypes[first['interface']]} cannot be decoded",
        capture.buffer.offset + int(first["offset"]),
        int(odd.sum()),
    )


def _note_limit(capture: Capture, findings: Findings) -> None:
    findings.add(
        "memory-limit",
        "memory ran out: the rest of this capture was not read",
        capture.buffer.position,
    )
