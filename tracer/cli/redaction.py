"""`--redact`: pseudonyms in everything a command writes, by a key that is never an argument."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracer.cli.options import Option
from tracer.core.errors import InputError

if TYPE_CHECKING:
    from tracer.core.redaction.redactor import Redactor

KEY_VARIABLE = "TRACER_REDACT_KEY"
_SECTION = "Redaction"
_LONGEST = 1 << 16  # bytes
_SHORTEST = 16  # bytes: what can be guessed undoes every pseudonym
_HINT = "Make one with `(umask 077; head -c 32 /dev/urandom | base64 > redact.key)`."
_Command = Callable[..., Any]


def redaction_options(command: _Command) -> _Command:
    """Give a command `--redact` and `--redact-key`; it takes them for `redactor_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


# A key among the arguments would be in the process list and the shell's history.
_OPTIONS = (
    click.option(
        "--redact", cls=Option, section=_SECTION, is_flag=True,
        help="Replace addresses, MACs and names by pseudonyms; leave out payloads and digests."
        f" The key is taken from --redact-key or ${KEY_VARIABLE}; by default it is a new one.",
    ),
    click.option(
        "--redact-key", cls=Option, section=_SECTION, metavar="FILE",
        type=click.Path(readable=False),
        help="Redact with the key in FILE: the same key gives the same pseudonyms.",
    ),
)  # fmt: skip


def redactor_of(redact: bool, redact_key: str | None) -> "Redactor | None":
    """Return what gives pseudonyms, None when nothing is to be redacted.

    Raises InputError for a key that cannot be read or is too short.
    """
    if not redact and redact_key is None:
        return None
    from tracer.core.redaction.redactor import Redactor

    return Redactor(_key(redact_key))


def _key(file: str | None) -> bytes:
    if file is not None:
        return _sound(_read(Path(file)), file)
    text = os.environ.get(KEY_VARIABLE)
    if text is not None:
        return _sound(text.encode("utf-8", "surrogateescape"), f"${KEY_VARIABLE}")
    click.echo(
        "tracer: redacted with a key for this run alone; other runs give other pseudonyms"
        " (--redact-key keeps them)",
        err=True,
    )
    return os.urandom(32)


def _read(path: Path) -> bytes:
    from tracer.sources.documents import stored

    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}.", _HINT) from None
    try:
        key = stored(path, _LONGEST)
    except InputError as error:
        raise InputError(error.message, _HINT) from None
    if len(key) > _LONGEST:
        raise InputError(f"{path} is no key: it has more than {_LONGEST} bytes.", _HINT)
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        click.echo(f"tracer: others can read the key in {path}; `chmod 600 {path}`", err=True)
    return key


def _reason(error: OSError | ValueError) -> str:
    return str(error.strerror if isinstance(error, OSError) else error)


def _sound(key: bytes, where: str) -> bytes:
    key = key.strip()
    if len(key) < _SHORTEST:
        raise InputError(
            f"The key in {where} has {len(key)} bytes; it needs {_SHORTEST} or more.", _HINT
        )
    return key
