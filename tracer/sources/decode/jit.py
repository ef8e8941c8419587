"""The decorator of functions that only other compiled functions call."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def inner(function: F) -> F:
    """Return the function compiled with its caller: no cache of its own, no Python entry.

    Each entry from Python would be compiled again inside every caller, and a cache of its own
    would be written and never read: only the outermost function is looked up.
    """
    compiled = numba.njit(
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        no_rewrites=True,
    )(function)
    return cast(F, compiled)
