"""Where output goes: data to standard output or a file, the summary to standard error."""

import contextlib
import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from tracer.cli.overwriting import unwritable
from tracer.core.printable import printable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

if TYPE_CHECKING:
    import pyarrow as pa

    from tracer.report.line import Line


@contextlib.contextmanager
def destination(output: str | None) -> Iterator[IO[bytes]]:
    """Give the file to write data to: the named one, else standard output.

    Raises InputError when the named one cannot be written. An unfinished file is removed.
    """
    if output is None or output == "-":
        sys.stdout.flush()
        with _named("standard output"), _buffered(sys.stdout.buffer) as file:
            yield file
        return
    try:
        file = open(output, "wb")  # noqa: SIM115 -- closed below, where other errors are meant
    except OSError as error:
        raise unwritable(output, error) from None
    try:
        with _named(output), file:
            yield file
    except BaseException:
        with contextlib.suppress(OSError):
            if os.path.isfile(output):
                os.unlink(output)
        raise


@contextlib.contextmanager
def _named(output: str) -> Iterator[None]:
    # The error of a full disk or quota does not say which file it was.
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            error.filename = output
        raise


@contextlib.contextmanager
def _buffered(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    # With PYTHONUNBUFFERED it is the descriptor, which may take less than it is given.
    if not isinstance(stream, io.RawIOBase):
        yield stream
        stream.flush()
        return
    buffered = io.BufferedWriter(stream)
    try:
        yield buffered
        buffered.flush()
    finally:
        with contextlib.suppress(OSError, ValueError):  # told already
            buffered.detach()


def write_lines(lines: Iterable[bytes], file: IO[bytes]) -> None:
    """Write lines as they come."""
    for part in lines:
        file.write(part)


def write_table(tables: "Iterable[pa.Table]", format_: str, file: IO[bytes]) -> None:
    """Write tables as CSV or Parquet."""
    from tracer.report.tables import write_csv, write_parquet

    (write_parquet if format_ == "parquet" else write_csv)(tables, file)


def write_text(lines: "Iterable[Line]", file: IO[bytes], *, coloured: bool) -> None:
    """Write text, with colours or without, in the encoding of standard output."""
    encoding = sys.stdout.encoding if file is sys.stdout.buffer else "utf-8"
    if coloured:
        for rendered in _rendered(lines):
            file.write(encoded(rendered, encoding))
        return
    for line in lines:
        file.write(encoded(f"{line.plain}\n", encoding))


def encoded(text: str, encoding: str) -> bytes:
    """Return the text's bytes; where the encoding has no arrows and the like, in plain letters."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        for sign, letters in (("→", "->"), ("⇒", "=>"), ("µ", "u"), ("±", "+-"), ("…", "...")):
            text = text.replace(sign, letters)
        return text.encode(encoding, "replace")


def is_coloured(output: str | None) -> bool:
    """Return whether text gets colours: on a terminal, unless NO_COLOR is set (no-color.org)."""
    is_terminal = output is None and sys.stdout.isatty()
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width(output: str | None) -> int:
    """Return the columns text may use: the terminal's, COLUMNS, or 120 in a file or pipe."""
    if output is None and sys.stdout.isatty():
        return max(40, shutil.get_terminal_size().columns)
    columns = os.environ.get("COLUMNS", "")
    return max(40, int(columns)) if columns.isdecimal() else 120


def write_summary(summary: dict[str, Any], file: str | None) -> None:
    """Write the summary to standard error, and as JSON to the file when one is named."""
    from tracer.report.footer import footer_lines

    encoding = sys.stderr.encoding
    for line in footer_lines(summary):
        sys.stderr.write(encoded(f"{printable(line)}\n", encoding).decode(encoding))
    if file is not None:
        with destination(file) as target:
            target.write(
                json.dumps(summary, ensure_ascii=False, indent=2).encode(
                    "utf-8", "backslashreplace"
                )
                + b"\n"
            )


def _rendered(lines: "Iterable[Line]") -> Iterator[str]:
    from rich.console import Console

    console = Console(file=sys.stdout, force_terminal=True, highlight=False, soft_wrap=True)
    for line in lines:
        with console.capture() as capture:
            console.print(line)
        yield capture.get()
