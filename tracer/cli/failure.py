"""What a failure looks like: one sentence with the cause and the next command, on stderr."""

import errno
import os
import signal
import sys
import threading

import click

from tracer.core.errors import TracerError
from tracer.core.printable import printable

CANNOT, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # the last two as a shell reports signals


_AGAIN_S = 0.01
_NEXT = {
    errno.ENOSPC: "Free some space, or write elsewhere with -o; `df -h` shows where there is some.",
    errno.EDQUOT: "Free some space, or write elsewhere with -o; `quota` shows what may be used.",
    errno.EMFILE: "Let it open more with `ulimit -n`, or merge captures with mergecap.",
}


class ReaderGone(Exception):  # noqa: N818 -- not an error
    """Whoever read standard output has seen enough (`| head`)."""


def exit_status(error: BaseException) -> int:
    """Return the exit status an error asks for, after saying on stderr what there is to say.

    An error nobody foresaw is raised again: its traceback is a defect report.
    """
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else CANNOT
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case click.UsageError() if not isinstance(error, click.exceptions.NoArgsIsHelpError):
            _say(_sentence(error.format_message()), _usage_hint(error.ctx))
            return USAGE
        case click.ClickException():
            error.show()
            return error.exit_code
        case TracerError():
            _say(error.message, error.hint)
            return CANNOT
        case ReaderGone() | BrokenPipeError():
            _silence_stdout()
            return BROKEN_PIPE
        case OSError() if error.filename is None and not _is_somewhere():
            _say("The working directory is not there any more.", "Run it from another: `cd`.")
            return CANNOT
        case OSError():
            _say(_os_sentence(error), _NEXT.get(error.errno or 0))
            if error.filename == "standard output":
                _silence_stdout()
            return CANNOT
        case ModuleNotFoundError() if _says_what_lacks(error):
            return CANNOT
    raise error


def keep_interrupts() -> None:
    """Raise Ctrl-C again where Python would only print it: in a callback of C code or of the
    collector, as when a module is loaded or code compiled, what is raised goes nowhere.
    """
    sys.unraisablehook = _unraisable


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    # Not before the callback is over, and so that it ends what the main thread waits for.
    main = threading.main_thread().ident or 0
    again = threading.Timer(_AGAIN_S, signal.pthread_kill, (main, signal.SIGINT))
    again.daemon = True
    again.start()


def _is_somewhere() -> bool:
    # Compiling asks for the working directory, though no file in it is needed.
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _says_what_lacks(error: ModuleNotFoundError) -> bool:
    from tracer.doctor import lacking

    found = lacking(error.name or "")
    if found is None:
        return False
    needed_for, command = found
    _say(f"The Python package {error.name}, needed for {needed_for}, is not installed.", command)
    return True


def _say(message: str, hint: str | None) -> None:
    click.echo(f"tracer: {printable(message)}", err=True)
    if hint:
        click.echo(f"        {printable(hint)}", err=True)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _usage_hint(context: click.Context | None) -> str:
    words = context.command_path if context is not None else "tracer"
    return f"`{words} --help` shows what it takes."


def _os_sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}." if error.filename else f"{reason}."


def _silence_stdout() -> None:
    # The interpreter flushes stdout when it ends, and would complain once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
