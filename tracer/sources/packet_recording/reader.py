"""Reads back what a pcapng file has beyond its packets, where nobody changed it since."""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tracer.core.errors import InputError
from tracer.sources.packet_recording import blocks

if TYPE_CHECKING:
    from tracer.sources.recording import Recording

_AGAIN = "Record it again with `tracer follow --write`."


def was_recorded(head: bytes) -> bool:
    """Return whether a pcapng file's first bytes say that `tracer follow` wrote it."""
    if len(head) < 8:
        return False
    (total,) = struct.unpack_from("<I", head, 4)
    return blocks.APPLICATION in head[:total]


def is_recording(path: str) -> bool:
    """Return whether a pcapng file has its columns: it was completed, and not changed since."""
    try:
        with open(path, "rb") as file:
            return _footer(file) is not None
    except OSError:
        return False


def read_packet_recording(path: Path) -> "Recording":
    """Return the `Recording` of a pcapng file for which `is_recording` holds.

    Raises InputError when it is damaged or newer than this.
    """
    from tracer.sources.recording import DAMAGED, reason_of, recording_of

    with path.open("rb") as file:
        footer = _footer(file)
        if footer is None:
            raise InputError(f"{path} is not a complete recording.", _AGAIN)
        try:
            recording = recording_of(path, footer, _tables(file, footer["columns"]))
        except (*DAMAGED, struct.error) as error:
            raise InputError(f"{path} is damaged: {reason_of(error)}.", _AGAIN) from None
    batch = recording.batch
    batch.captures = (str(path),)
    batch.packets["capture"] = 0
    return recording


def _tables(file: IO[bytes], places: list[int]) -> Iterator[Any]:
    import pyarrow as pa

    for place in places:
        file.seek(place)
        head = file.read(8)
        (total,) = struct.unpack_from("<I", head, 4)
        found = blocks.local_data(head + file.read(total - 8))
        if found is None or found[0] != blocks.COLUMNS:
            raise ValueError(f"there are no columns at byte {place}")
        yield pa.ipc.open_stream(found[1]).read_all()


def _footer(file: IO[bytes]) -> dict[str, Any] | None:
    # The last block, if it is ours and lies where it says.
    size = file.seek(0, os.SEEK_END)
    if size < 12:
        return None
    file.seek(size - 4)
    (total,) = struct.unpack("<I", file.read(4))
    if not 12 <= total <= size:
        return None
    file.seek(size - total)
    found = blocks.local_data(file.read(total))
    if found is None or found[0] != blocks.END:
        return None
    footer: dict[str, Any] = json.loads(found[1])
    return footer if footer.get("before") == size - total else None
