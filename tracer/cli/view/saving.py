"""What the live view saves: the exchanges it shows, in the format the file's name asks for."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracer.cli.output import destination, encoded, write_lines, write_table
from tracer.cli.view.kept import Exchange, grouped
from tracer.core.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".txt", ".jsonl", ".csv", ".parquet")
_TEXT_WIDTH = 120


def save(exchanges: list[Exchange], name: str) -> int:
    """Write exchanges to a new file and return how many they were.

    Raises InputError when the suffix says no format or the file already exists.
    """
    path = Path(name).expanduser()
    if path.suffix not in SUFFIXES:
        raise InputError(f"A file ends in {', '.join(SUFFIXES)}.", "Choose another name.")
    if path.exists():
        raise InputError(f"{path} already exists.", "Choose another name.")
    with destination(str(path)) as file:
        if path.suffix == ".txt":
            write_lines(_text(exchanges), file)
        elif path.suffix == ".jsonl":
            write_lines(_jsonl(exchanges), file)
        else:
            write_table(_tables(exchanges), path.suffix[1:], file)
    return len(exchanges)


def _numbers(items: list[Exchange]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.concatenate([item.members for item in items])


def _text(exchanges: list[Exchange]) -> Iterator[bytes]:
    from tracer.report.text import journey_text

    for part, items in grouped(exchanges):
        for line in journey_text(part, _TEXT_WIDTH, _numbers(items)):
            yield encoded(f"{line.plain}\n", "utf-8")


def _jsonl(exchanges: list[Exchange]) -> Iterator[bytes]:
    from tracer.report.jsonl import journey_lines

    for part, items in grouped(exchanges):
        yield from journey_lines(part, _numbers(items))


def _tables(exchanges: list[Exchange]) -> "Iterator[pa.Table]":
    from tracer.report.tables import hop_tables

    for part, items in grouped(exchanges):
        yield from hop_tables(part, _numbers(items))
