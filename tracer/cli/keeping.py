"""What `follow --write FILE` keeps, and how: the file's suffix says which writer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from tracer.core.batch import ObservationBatch
    from tracer.sources.live.session import Session


class Writer(Protocol):
    """Writes batches to a file; what only the end knows is set before `close`."""

    lost: dict[str, int]
    watched_ns: int | None

    def write(self, batch: "ObservationBatch") -> None:
        """Append the observations of a batch."""

    def close(self) -> None:
        """Complete the file."""


def _recording(path: Path, session: "Session") -> Writer:
    from tracer.sources.recording import RecordingWriter

    return RecordingWriter(path)


#: Suffix → makes the writer. A writer of frames finds those of the batch in `session.frames`.
WRITERS: dict[str, Callable[[Path, "Session"], Writer]] = {".parquet": _recording}


def writable(_: click.Context, parameter: click.Parameter, file: str | None) -> str | None:
    """Return the file when there is a writer for its suffix; bad usage otherwise."""
    if file is not None and Path(file).suffix not in WRITERS:
        known = " or ".join(WRITERS)
        raise click.BadParameter(f"{file!r} does not end in {known}.", param=parameter)
    return file


class Keeping:
    """Gives, in `with`, what keeps observations: a writer of the named file, or nothing."""

    def __init__(self, file: str | None, session: "Session") -> None:
        self._file, self._session = file, session
        self._writer: Writer | None = None

    def __enter__(self) -> "Callable[[ObservationBatch], None]":
        if self._file is None:
            return lambda batch: None
        path = Path(self._file)
        self._writer = WRITERS[path.suffix](path, self._session)
        return self._writer.write

    def __exit__(self, *_: Any) -> None:
        if self._writer is not None:
            self._writer.lost = lost(self._session)
            self._writer.watched_ns = self._session.until_ns
            self._writer.close()


def lost(session: "Session") -> dict[str, int]:
    """Return what the tracer itself lost, by kind, as summaries and recordings have it."""
    stats = session.stats()
    return {name: getattr(stats, name) for name in ("ring_full", "map_full", "unreadable")}
