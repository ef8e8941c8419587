"""The one way hot functions are compiled: `@jit`, cached on disk, without the GIL, silent.

Functions that only compiled functions call are `@inner`: that halves what they cost to compile.

The folder of the cache is chosen by `tracer.jit_cache` before the modules that hold such functions
are imported (the core does no I/O); without that numba puts it next to the source or into the
user's own cache. Where nothing at all can be written the function still works, compiled per run.

Where a function makes no arrays, returns none and is returned none, it is `@jit_plain` or
`@inner_plain`: numba then counts no references to arrays, which it else does for each array of each
call that it does not see through, with instructions that wait for the memory of other processors.
Of a tuple of arrays it cannot take one by its index; all are unpacked.

They do not assign arrays to slices: the error that numba would raise where shapes differ takes two
to three seconds to compile.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "no_rewrites": True,
}


def jit(function: F) -> F:
    """Return the function compiled by numba on first call: nopython, nogil, cached on disk.

    Division follows C (no check for zero), indices wrap as in numpy.
    """
    return _cached(function, counts=True)


def jit_plain(function: F) -> F:
    """Return the function compiled as by `jit`, without counting references: it makes no arrays.

    Nor does it return any, or is returned any by what it calls: numba would take one for counted.
    """
    return _cached(function, counts=False)


def inner(function: F) -> F:
    """Return the function compiled with its callers: no cache of its own, not callable from Python.

    An entry from Python would be compiled again inside every caller, and a cache of its own would
    be written and never read: only the outermost function is looked up.
    """
    return _within(function, counts=True)


def inner_plain(function: F) -> F:
    """Return the function compiled as by `inner`, without counting references: see `jit_plain`."""
    return _within(function, counts=False)


# `_nrt` is said of every function: one that says nothing has it of whoever calls it first.
def _cached(function: F, *, counts: bool) -> F:
    try:
        compiled = numba.njit(cache=True, _nrt=counts, **_OPTIONS)(function)
    except RuntimeError:  # "no locator available": nowhere to write a cache
        compiled = numba.njit(_nrt=counts, **_OPTIONS)(function)
    return cast(F, compiled)


def _within(function: F, *, counts: bool) -> F:
    compiled = numba.njit(no_cpython_wrapper=True, _nrt=counts, **_OPTIONS)(function)
    return cast(F, compiled)
