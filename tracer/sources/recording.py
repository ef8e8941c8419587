"""Observations kept in a Parquet file: what `follow --write` leaves for `offline` and `report`.

One column a field of the record and of every section in use, as stored (`core.schema`); the
footer says the version, the points, the captures, the labels and what the tracer lost.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracer.core.batch import ObservationBatch, concat
from tracer.core.closing import Closing
from tracer.core.errors import InputError
from tracer.core.warnings import InputWarning
from tracer.sources.recording_table import Codes, arrow_schema, batch_of

VERSION = 1
_KEY = b"tracer"
MAGIC = b"PAR1"
_GROUP_ROWS = 1 << 14  # observations come some at a time; a row group of each would be all footer


class RecordingWriter(Closing):
    """Writes batches to a recording as they come; the file is complete once closed.

    `lost` is what the tracer itself lost and `watched_ns` until when it watched (UTC); set them
    before closing. Raises InputError where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.lost: dict[str, int] = {}
        self.watched_ns: int | None = None
        self._codes = Codes()
        self._gathered: list[ObservationBatch] = []
        self._rows = 0
        try:
            self._writer = pq.ParquetWriter(path, arrow_schema(), compression="zstd")
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}.", "Name another file with --write."
            ) from error

    def write(self, batch: ObservationBatch) -> None:
        """Append a batch; its points and captures are coded anew over the whole file."""
        self._gathered.append(batch)
        self._rows += len(batch)
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and the footer; nothing can be written after it."""
        self._flush()
        footer = {
            "version": VERSION,
            **self._codes.footer(),
            "lost": self.lost,
            "watched_ns": self.watched_ns,
        }
        self._writer.add_key_value_metadata({_KEY: json.dumps(footer).encode()})
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._codes.table(concat(self._gathered)))
        self._gathered.clear()
        self._rows = 0


#: What reading a damaged table, or a damaged footer, ends in.
DAMAGED = (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError)


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """A recording read back: its observations, what the tracer lost then, and what is wrong now."""

    batch: ObservationBatch
    lost: dict[str, int]
    warnings: tuple[InputWarning, ...] = ()


def read_recording(path: Path) -> Recording:
    """Return what a recording holds; raises InputError when it is none or newer than this."""
    try:
        file = pq.ParquetFile(path)
    except DAMAGED as error:
        raise _incomplete(path, error) from error
    raw = (file.schema_arrow.metadata or {}).get(_KEY) or (file.metadata.metadata or {}).get(_KEY)
    if raw is None and {"journey", "n", "outcome"} <= set(file.schema_arrow.names):
        raise InputError(
            f"{path} holds journeys, which are joined already.",
            "Give it to `tracer report`, alone.",
        )
    if raw is None:
        raise InputError(
            f"{path} is a Parquet file, but not a recording of observations.",
            "Give the file that `tracer follow --write` made.",
        )
    try:
        footer = json.loads(raw)
        tables = (file.read_row_group(n) for n in range(file.num_row_groups))
        return recording_of(path, footer, tables)
    except DAMAGED as error:
        raise _incomplete(path, error) from error


def reason_of(error: Exception) -> str:
    """Return what one of `DAMAGED` says, in one line."""
    text = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    return text.partition("\n")[0].rstrip(".: ") or type(error).__name__


def _incomplete(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is not a complete recording: {reason_of(error)}.",
        "Record it again with `tracer follow --write`.",
    )


def recording_of(path: Path, footer: dict[str, Any], tables: Any) -> Recording:
    """Return the recording of a footer and its tables, up to one that is damaged.

    Raises InputError when it is newer, and one of `DAMAGED` when the first table is damaged.
    """
    if footer["version"] > VERSION:
        raise InputError(
            f"{path} was written by a newer tracer (recording version {footer['version']}).",
            "Update tracer to read it.",
        )
    parts: list[ObservationBatch] = []
    warnings: tuple[InputWarning, ...] = ()
    try:
        for table in tables:
            parts.append(batch_of(table, footer))
    except DAMAGED as error:
        if not parts:
            raise
        message = f"it is damaged ({reason_of(error)}); what came before was read"
        warnings = (InputWarning("damaged-recording", message, str(path)),)
    batch = concat(parts or [batch_of(arrow_schema().empty_table(), footer)])
    batch.watched_ns = footer.get("watched_ns")
    return Recording(batch, footer["lost"], warnings)
