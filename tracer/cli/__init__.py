"""The command line: one file a command. Only this package prints or exits."""

import gc
import sys
from collections.abc import Sequence
from typing import NoReturn

from tracer.cli.commands import group
from tracer.cli.failure import exit_status

# Packets are columns, and a compiler's objects are all kept: to look for garbage cycles as often as
# usual costs a sixth of a start, and an eighth of compiling.
_COLLECT_AFTER = (500_000, 10, 10)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 input or host cannot do it, 2 bad usage, 130 on Ctrl-C."""
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        result = group.main(arguments, prog_name="tracer", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        sys.exit(exit_status(error))
    finally:
        gc.freeze()  # all ends with the process: to look for garbage first takes a sixth of a run
    sys.exit(result if isinstance(result, int) else 0)
