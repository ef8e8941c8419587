"""Output that cannot be written, or would destroy what is read or other output, is refused before
anything is read.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from tracer.core.errors import InputError

_OUTPUTS = {
    "output": "-o", "summary": "--summary", "segments": "--segments", "write": "--write",
    "ready_file": "--ready-file",
}  # fmt: skip
_INPUTS = ("captures", "points", "conntrack", "rules", "before", "redact_key")


def refuse_unwritable(parameters: Mapping[str, Any]) -> None:
    """Raise InputError where a file is to be written that cannot be: it is a folder, it or its
    folder is closed to us, or there is no such folder.

    `parameters` are those of a command, by name.
    """
    for name in _OUTPUTS:
        path = parameters.get(name)
        if path in (None, "-"):
            continue
        code = _hindrance(path)
        if code is not None:
            raise unwritable(path, OSError(code, os.strerror(code)))


# The error number that opening a file to write it would fail with, None where it would not.
def _hindrance(path: str) -> int | None:
    if os.path.isdir(path):
        return errno.EISDIR
    if os.path.exists(path):
        return None if os.access(path, os.W_OK) else _refusal(path)
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        return errno.ENOTDIR if os.path.exists(folder) else errno.ENOENT
    return None if os.access(folder, os.W_OK | os.X_OK) else _refusal(folder)


def _refusal(path: str) -> int:
    return errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES


def unwritable(path: str, error: OSError) -> InputError:
    """Return the error for a file that the system does not let us write."""
    folder = os.path.dirname(os.path.realpath(path) if os.path.islink(path) else path) or "."
    if isinstance(error, FileNotFoundError):
        reason, hint = "its folder does not exist", f"`mkdir -p {quote(folder)}` creates it."
    else:
        reason = str(error.strerror)
        hint = f"Name another file; `ls -ld {quote(folder)}` shows the folder."
    return InputError(f"{path} cannot be written: {reason}.", hint)


def refuse_overwriting(parameters: Mapping[str, Any]) -> None:
    """Raise InputError where a file is to be written that is read, or written, too.

    `parameters` are those of a command, by name. Devices and pipes may be named twice.
    """
    outputs: dict[str, str] = {}
    for name, option in _OUTPUTS.items():
        path = parameters.get(name)
        if path in (None, "-") or (os.path.exists(path) and not os.path.isfile(path)):
            continue
        hint = f"Choose another file after {option}."
        other = outputs.setdefault(os.path.realpath(path), option)
        if other != option:
            raise InputError(f"{path} would also be written by {other}.", hint)
        if os.path.exists(path) and any(_is_of(path, given) for given in _given(parameters)):
            raise InputError(f"{path} is one of the inputs.", hint)


def _given(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name in _INPUTS:
        value = parameters.get(name) or ()
        values = value.values() if isinstance(value, Mapping) else value
        yield from (value,) if isinstance(value, str) else map(str, values)


def _is_of(path: str, given: str) -> bool:
    # Also what is read without being named: points.toml, and the dumps in a folder.
    from tracer.sources.points import POINTS_FILE

    if not os.path.exists(given):
        return False
    from tracer.sources.folders import walk

    real, own = os.path.realpath(path), Path(os.path.realpath(given))
    if os.path.basename(real) == POINTS_FILE and Path(real).parent in own.parents:
        return True
    if not own.is_dir():
        return os.path.samefile(path, given)
    if real not in map(os.path.realpath, walk(given).files()):
        return False
    from tracer.sources.capture import is_readable
    from tracer.sources.conntrack import conntrack_files
    from tracer.sources.rules.read import rules_files

    dumps = (*conntrack_files(own), *rules_files(own))
    named = {os.path.realpath(file) for file, *_ in dumps}
    return os.path.basename(real) == POINTS_FILE or real in named or is_readable(path)
