"""Standard output and error as commands need them: open, waited for where they are full for now,
and named where they are full for good.
"""

import io
import os
import select
import sys
from typing import Any, TextIO

_BUFFER = 1 << 16
_WAIT_MS = 200  # no call blocks for longer, so that Ctrl-C ends the wait


def prepare() -> None:
    """Make standard output and error usable: what was closed (`>&-`) is nothing to write to, and
    what another program made non-blocking is waited for. Errors of writing have their names.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Data for it have nowhere to go.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 -- as long as the process
        elif _may_be_full(stream.fileno()):
            setattr(sys, name, _waiting(stream, is_error=name == "stderr"))


class WaitingWriter(io.RawIOBase):
    """A descriptor that takes all it is given, however long that takes; errors have its `name`.

    Whether it blocks is a matter of all programs that share it, and is left as it is.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._called = descriptor, name

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        """Write all of the data, and return how many bytes that were."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                while not poll.poll(_WAIT_MS):
                    pass
            except OSError as error:
                error.filename = self._called
                raise
        return size


# Files, and pipes and sockets: another program may make these non-blocking at any moment.
def _may_be_full(descriptor: int) -> bool:
    return not os.isatty(descriptor) or not os.get_blocking(descriptor)


def _waiting(stream: TextIO, *, is_error: bool) -> TextIO:
    stream.flush()
    raw = io.BufferedWriter(
        WaitingWriter(stream.fileno(), "standard error" if is_error else "standard output"), _BUFFER
    )
    errors = getattr(stream, "errors", None)
    return io.TextIOWrapper(
        raw, stream.encoding, errors, line_buffering=is_error or stream.isatty(),
        write_through=is_error,
    )  # fmt: skip
