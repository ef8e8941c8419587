"""Compiled code: where it is kept, and a word to the user when it has to be made first."""

import atexit
import gc
import subprocess
import sys
from collections.abc import Sequence

import click

from tracer import jit_cache

_BEHIND = (
    "import gc, sys; gc.set_threshold(*{rarely!r}); sys.path[:] = {path!r}; "
    "from importlib import import_module; [import_module(name).warm() for name in {modules!r}]"
)
_CORRELATE = ("tracer.correlate.warm",)
#: What only large captures need.
_LARGE = ("tracer.correlate.windows.warm", "tracer.report.parquet.warm")
_LONGEST_S = 120  # to wait for the second process; what it has not compiled is then compiled here
_helpers: list[subprocess.Popen[bytes]] = []  # that are waited for
_left: list[str] = []  # to be compiled once they are done


def ready(*packages: str) -> None:
    """Choose the cache of compiled code, and say on stderr when functions of the packages (the
    last part of their dotted names) are still to be compiled. Call before they are imported.

    Where both decoder and correlator are cold, a second process compiles the correlator meanwhile;
    `settled` waits for it. What only large captures need (the package windows) is compiled by one
    that nobody waits for: what it has not compiled by the time that it is needed is compiled here.
    """
    folder = jit_cache.prepare()
    cold = [package for package in packages if jit_cache.is_cold(package)]
    if not cold:
        return
    click.echo("tracer: compiling for this machine, once; this takes seconds ...", err=True)
    if folder is None or _helpers:
        return
    if {"decode", "correlate"} <= set(cold):
        _helpers.extend(_compile_behind(_CORRELATE))
        _left.extend(_LARGE if "windows" in cold else ())
    elif "windows" in cold:
        _compile_behind(_LARGE)


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
    if _left:
        _compile_behind(_left)
        _left.clear()


def _compile_behind(modules: Sequence[str]) -> list[subprocess.Popen[bytes]]:
    # -I: nothing from the working directory or the environment is imported, also for root.
    code = _BEHIND.format(rarely=gc.get_threshold(), path=sys.path, modules=tuple(modules))
    command = [sys.executable, "-I", "-c", code]
    quiet = subprocess.DEVNULL
    try:
        helper = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    except OSError:
        return []  # no second process: all is compiled in this one
    atexit.register(_stop, helper)
    return [helper]


def _stop(helper: subprocess.Popen[bytes]) -> None:
    if helper.poll() is None:
        helper.kill()
        helper.wait()
