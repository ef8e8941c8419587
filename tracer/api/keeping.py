"""What `follow --write FILE` keeps, and how: the file's suffix says which writer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tracer.core.batch import ObservationBatch
    from tracer.core.redaction.redactor import Redactor
    from tracer.sources.live.engine import Config, Stats
    from tracer.sources.live.session import Session
    from tracer.sources.packet_recording.packets import Frames

PARQUET, PCAPNG = ".parquet", ".pcapng"
_HEADERS = 192  # bytes: two Ethernet headers with tags, two of IPv6, one of TCP with options


class Writer(Protocol):
    """Writes batches to a file; what only the end knows is set before `close`."""

    lost: dict[str, int]
    watched_ns: int | None

    def write(self, batch: "ObservationBatch") -> None:
        """Append the observations of a batch."""

    def close(self) -> None:
        """Complete the file."""


def _recording(path: Path, session: "Session", redacted: bool) -> Writer:
    from tracer.sources.recording import RecordingWriter

    return RecordingWriter(path)


def _packets(path: Path, session: "Session", redacted: bool) -> Writer:
    from tracer.report.pcapng.facts import fact_comments
    from tracer.report.pcapng.points import interface_description, interface_name
    from tracer.sources.live.frames import event_frames
    from tracer.sources.packet_recording.writer import PacketRecordingWriter

    def captured(batch: "ObservationBatch") -> "Frames":
        return event_frames(session.frames)

    remark = "headers rebuilt" if redacted else f"seen by tracer, {session.engine_name} engine"
    return PacketRecordingWriter(
        path,
        _rebuilt if redacted else captured,
        lambda batch: fact_comments(batch, remark),
        lambda point: (interface_name(point), interface_description(point)),
    )


def _rebuilt(batch: "ObservationBatch") -> "Frames":
    # Pseudonyms are in the columns only: the packets' own bytes would tell what they hide.
    import numpy as np

    from tracer.report.pcapng.headers import rebuilt
    from tracer.report.pcapng.values import values_of
    from tracer.sources.packet_recording.packets import Frames

    ways = [*(int(point.direction) for point in batch.points), -1]
    places = batch.packets["point"].tolist()
    values = values_of(batch, np.arange(len(batch)))
    made = [rebuilt(each, ways[place]) for each, place in zip(values, places, strict=True)]
    lengths = [len(each.data) if each else 0 for each in made]
    return Frames(
        np.frombuffer(b"".join(each.data for each in made if each), np.uint8),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(lengths, np.int64))]),
        np.array([each.linktype if each else -1 for each in made], np.int32),
        np.array([each.wire_len if each else 0 for each in made], np.int64),
    )


#: Suffix → makes the writer. A writer of frames finds those of the batch in `session.frames`.
WRITERS: dict[str, Callable[[Path, "Session", bool], Writer]] = {
    PARQUET: _recording,
    PCAPNG: _packets,
}


def copied(config: "Config", file: str | None) -> "Config":
    """Return the config with what a file's writer needs: packets' headers, but for a set `snap`."""
    if file is None or Path(file).suffix != PCAPNG or config.snap:
        return config
    return replace(config, snap=_HEADERS, headers_only=True)


class Keeping:
    """Gives, in `with`, what keeps observations: a writer of the named file, or nothing."""

    def __init__(
        self, file: str | None, session: "Session", redactor: "Redactor | None" = None
    ) -> None:
        self._file, self._session, self._redactor = file, session, redactor
        self._writer: Writer | None = None

    def __enter__(self) -> "Callable[[ObservationBatch], None]":
        if self._file is None:
            return lambda batch: None
        path = Path(self._file)
        redactor = self._redactor
        writer = self._writer = WRITERS[path.suffix](path, self._session, redactor is not None)
        if redactor is None:
            return writer.write
        return lambda batch: writer.write(redactor.batch(batch))

    def __exit__(self, *_: Any) -> None:
        if self._writer is not None:
            self._writer.lost = lost(self._session.stats())
            self._writer.watched_ns = self._session.until_ns
            self._writer.close()


def lost(stats: "Stats") -> dict[str, int]:
    """Return what the tracer itself lost, by kind, as summaries and recordings have it."""
    names = ("ring_full", "map_full", "unreadable", "hooks_skipped")
    return {name: getattr(stats, name) for name in names}
