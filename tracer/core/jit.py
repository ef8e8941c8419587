"""The one way hot functions are compiled: `@jit`, cached on disk, without the GIL, silent.

The folder of the cache is chosen by `tracer.jit_cache` before the modules that hold such functions
are imported (the core does no I/O); without that numba puts it next to the source or into the
user's own cache. Where nothing at all can be written the function still works, compiled per run.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Return the function compiled by numba on first call: nopython, nogil, cached on disk.

    Division follows C (no check for zero), indices wrap as in numpy.
    """
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # "no locator available": nowhere to write a cache
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(F, compiled)
