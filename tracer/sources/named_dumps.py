"""The dumps that lie beside captures: those a points.toml names, [[conntrack]] and [[rules]]
tables, and those told from their own names.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tracer.core.errors import InputError
from tracer.core.printable import sound
from tracer.core.warnings import InputWarning
from tracer.sources.documents import toml_of
from tracer.sources.folders import walk

_KEYS = ("file", "host", "netns")
Dump = tuple[Path, str | None, str | None]  # file, host, netns; None is not said


def dumps_in(folder: Path, kind: str, is_dump: Callable[[Path], bool]) -> Iterator[Dump]:
    """Yield the dumps of a kind in a folder and its subfolders, each once.

    Those that a points.toml names; where none above names any, the files that `is_dump` takes.
    Raises InputError for a points.toml that cannot be used.
    """
    naming: set[Path] = set()
    seen: set[str] = set()
    for place, names in walk(str(folder)).folders:  # what it cannot list is told with the captures
        here = Path(place)
        found = dumps_named(here / "points.toml", kind)
        if found:
            naming.add(here)
        elif not naming & {here, *here.parents}:
            found = [(here / name, None, None) for name in names if is_dump(here / name)]
        for dump in found:
            real = os.path.realpath(dump[0])
            if real not in seen:
                seen.add(real)
                yield dump


def dumps_named(points: Path, kind: str) -> list[Dump]:
    """Return (file, host, netns) of each table of a kind; [] where there is none, or no such file.

    Raises InputError where the file is unusable, or a table of that kind is.
    """
    if not os.path.lexists(points):
        return []
    tables = toml_of(points)[1].get(kind, [])
    if not isinstance(tables, list) or not all(_is_usable(table) for table in tables):
        raise InputError(
            f"{points}: a [[{kind}]] table has `file`, may have `host` and `netns`, each a text in "
            "quotes, and nothing else.",
            f'Write it as [[{kind}]] and, below, file = "NAME".',
        )
    return [(points.parent / t["file"], t.get("host"), t.get("netns")) for t in tables]


def not_read(path: Path, kind: str) -> InputWarning | None:
    """Return a warning where a dump of a folder is a FIFO: nobody may ever write to it."""
    try:
        is_fifo = stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):  # told where it is read
        return None
    if not is_fifo:
        return None
    message = f"it is a FIFO, which nobody may write to; give it with --{kind} to have it read"
    return InputWarning("not-read", message, sound(path.name))


def _is_usable(table: Any) -> bool:
    return (
        isinstance(table, dict)
        and "file" in table
        and all(key in _KEYS and isinstance(value, str) for key, value in table.items())
    )
