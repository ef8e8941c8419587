"""The command line: one file a command. Only this package prints or exits."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from tracer.cli.commands import group
from tracer.cli.failure import exit_status


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 input or host cannot do it, 2 bad usage, 130 on Ctrl-C."""
    try:
        result = group.main(arguments, prog_name="tracer", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        sys.exit(exit_status(error))
    sys.exit(result if isinstance(result, int) else 0)
