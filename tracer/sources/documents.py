"""Small files that are read whole: points.toml, and dumps of tables and rules."""

import codecs
import os
import stat
import tomllib
from pathlib import Path
from shlex import quote
from typing import Any

from tracer.core.errors import InputError, unreadable
from tracer.sources.compression import decompressed
from tracer.sources.findings import Findings
from tracer.sources.stream import kind_of, open_input

_MOST_TOML = 1 << 24  # bytes
_PART = 1 << 20


def stored(path: str | Path, most: int) -> bytes:
    """Return the bytes of a file or FIFO, one more than `most` where it holds more.

    Raises InputError when it cannot be read, or is a folder, socket or device.
    """
    kind = kind_of(path)
    if kind == "folder":
        raise unreadable(path, IsADirectoryError(0, "Is a directory"))
    if kind != "file":
        raise InputError(f"{path} is a {kind}, not a file.", "Give a file or a FIFO.")
    stream = open_input(path)
    try:
        found, part = bytearray(), memoryview(bytearray(_PART))
        while len(found) <= most and (count := stream.readinto(part)):
            found += part[:count]
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        stream.close()
    return bytes(found[: most + 1])


def utf8(data: bytes) -> bytes:
    """Return a text's bytes in UTF-8, without the mark that Windows programs put before it.

    With the mark of UTF-16, as PowerShell writes what is sent to a file, it is converted.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data.removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    return data


def text_of(path: str | Path, findings: Findings, most: int) -> bytes:
    """Return the bytes of a dump, decompressed, in UTF-8; `most` at the most, else a finding.

    Raises InputError when it cannot be read, or is a folder, socket or device.
    """
    return utf8(decompressed(stored(path, most), findings, most))


def toml_of(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a TOML file and what it says.

    Raises InputError when it cannot be read, is no file, or is not TOML.
    """
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not is_file:  # nobody may ever write to a FIFO
        raise InputError(f"{path} is not a file.", f"`ls -ld {quote(str(path))}` shows what it is.")
    data = stored(path, _MOST_TOML)
    if len(data) > _MOST_TOML:
        raise InputError(f"{path} is not TOML: it has more than 16 MiB.", "Give it another name.")
    try:
        text = utf8(data).decode("utf-8")
        return text, tomllib.loads(text)
    except RecursionError:
        what = "brackets are nested too deeply in it"
    except ValueError as error:  # syntax, or not UTF-8
        what = str(error)
    raise InputError(f"{path} is not TOML: {what}.", "Correct that line.")
