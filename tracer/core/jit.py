"""The one way hot functions are compiled: `@jit`, cached on disk, without the GIL, silent.

Functions that only compiled functions call are `@inner`: that halves what they cost to compile.

The folder of the cache is chosen by `tracer.jit_cache` before the modules that hold such functions
are imported (the core does no I/O); without that numba puts it next to the source or into the
user's own cache. Where nothing at all can be written the function still works, compiled per run.

They do not assign arrays to slices: the error that numba would raise where shapes differ takes two
to three seconds to compile.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Return the function compiled by numba on first call: nopython, nogil, cached on disk.

    Division follows C (no check for zero), indices wrap as in numpy.
    """
    options = {
        "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "no_rewrites": True
    }  # fmt: skip
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # "no locator available": nowhere to write a cache
        compiled = numba.njit(**options)(function)
    return cast(F, compiled)


def inner(function: F) -> F:
    """Return the function compiled with its callers: no cache of its own, not callable from Python.

    An entry from Python would be compiled again inside every caller, and a cache of its own would
    be written and never read: only the outermost function is looked up.
    """
    compiled = numba.njit(
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        no_rewrites=True,
    )(function)
    return cast(F, compiled)
