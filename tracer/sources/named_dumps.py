"""The dumps that a points.toml names beside its captures: [[conntrack]] and [[rules]] tables."""

import tomllib
from pathlib import Path
from typing import Any

from tracer.core.errors import InputError, unreadable

_KEYS = ("file", "host", "netns")


def dumps_named(points: Path, kind: str) -> list[tuple[Path, str | None, str | None]]:
    """Return (file, host, netns) of each table of a kind; [] where there is none, or no such file.

    Raises InputError where the file is unusable, or a table of that kind is.
    """
    if not points.exists():
        return []
    try:
        tables = tomllib.loads(points.read_text("utf-8")).get(kind, [])
    except OSError as error:
        raise unreadable(points, error) from error
    except ValueError as error:  # syntax, or not UTF-8
        raise InputError(f"{points} is not TOML: {error}.", "Mend that line.") from error
    if not isinstance(tables, list) or not all(_is_usable(table) for table in tables):
        raise InputError(
            f"{points}: a [[{kind}]] table has `file`, may have `host` and `netns`, each a text in "
            "quotes, and nothing else.",
            f'Write it as [[{kind}]] and, below, file = "NAME".',
        )
    return [(points.parent / t["file"], t.get("host"), t.get("netns")) for t in tables]


def _is_usable(table: Any) -> bool:
    return (
        isinstance(table, dict)
        and "file" in table
        and all(key in _KEYS and isinstance(value, str) for key, value in table.items())
    )
