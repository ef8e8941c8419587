"""Compiled code: where it is kept, and a word to the user when it has to be made first."""

import atexit
import gc
import subprocess
import sys

import click

from tracer import jit_cache

_BEHIND = (
    "import gc, sys; gc.set_threshold(*{rarely!r}); sys.path[:] = {path!r}; "
    "from tracer.correlate.warm import warm; warm()"
)
_LONGEST_S = 120  # to wait for the second process; what it has not compiled is then compiled here
_helpers: list[subprocess.Popen[bytes]] = []


def ready(*packages: str) -> None:
    """Choose the cache of compiled code, and say on stderr when functions of the packages (the
    last part of their dotted names) are still to be compiled. Call before they are imported.

    Where both decoder and correlator are cold, a second process compiles the correlator meanwhile;
    `settled` waits for it.
    """
    folder = jit_cache.prepare()
    cold = [package for package in packages if jit_cache.is_cold(package)]
    if not cold:
        return
    click.echo("tracer: compiling for this machine, once; this takes seconds ...", err=True)
    if folder is not None and {"decode", "correlate"} <= set(cold) and not _helpers:
        _compile_behind()


def settled() -> None:
    """Wait for the second process, if there is one, and compile what it leaves meanwhile.

    Call before the correlator is used.
    """
    if _helpers:
        from tracer.correlate.warm import warm_rest

        warm_rest()
    for helper in _helpers:
        try:
            helper.wait(_LONGEST_S)
        except subprocess.TimeoutExpired:
            helper.kill()
    _helpers.clear()


def _compile_behind() -> None:
    # -I: nothing from the working directory or the environment is imported, also for root.
    command = [sys.executable, "-I", "-c", _BEHIND.format(rarely=gc.get_threshold(), path=sys.path)]
    quiet = subprocess.DEVNULL
    try:
        helper = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    except OSError:
        return  # no second process: all is compiled in this one
    _helpers.append(helper)
    atexit.register(_stop, helper)


def _stop(helper: subprocess.Popen[bytes]) -> None:
    if helper.poll() is None:
        helper.kill()
        helper.wait()
