"""The command line: one file a command. Only this package prints or exits."""

import atexit
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from tracer.cli import streams
from tracer.cli.commands import group
from tracer.cli.failure import exit_status, keep_interrupts

# Packets are columns, and a compiler's objects are all kept: to look for garbage cycles as often as
# usual costs a sixth of a start, and an eighth of compiling.
_COLLECT_AFTER = (500_000, 10, 10)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 input or host cannot do it, 2 bad usage, 130 on Ctrl-C."""
    gc.set_threshold(*_COLLECT_AFTER)
    # Nothing multiplies matrices: numpy's threads for that cost 60 ms of a processor as they wait.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    streams.prepare()
    keep_interrupts()
    try:
        result = group.main(arguments, prog_name="tracer", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        _leave(exit_status(error))
    finally:
        # All ends with the process: to look for garbage first takes a sixth of a short run.
        gc.freeze()
    sys.exit(result if isinstance(result, int) else 0)


def _leave(status: int) -> NoReturn:
    if threading.active_count() > 1:
        # A thread that compiles, or waits for a FIFO, does not end for an interpreter that does.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # gone, closed, none
                stream.flush()
        os._exit(status)
    sys.exit(status)
