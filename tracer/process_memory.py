"""Memory of the process: given back where it lives for days, kept where it is soon used again."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_DONT_NEED = 4  # MADV_DONTNEED: pages of a file come again from the page cache when they are used
_COMPILER = "libllvmlite.so"
# Parameters of mallopt(3), and the values under which no array has pages of its own.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_KEPT = {_TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20, _MMAP_MAX: 0, _ARENA_MAX: 1}


def keep() -> None:
    """Keep for later arrays what former ones freed, which the kernel else takes back each time.

    It would give it out again page by page, each filled with zeros, which takes about as long as to
    write what is then put there.
    Call it before there are threads, and before Arrow is loaded: all then use one heap.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with suppress(AttributeError):  # only glibc has these
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _KEPT.items():
            mallopt(parameter, value)


def give_back() -> None:
    """Give the kernel back what is free in the heap, and the compiler's code."""
    give_back_compiler()
    with suppress(AttributeError):  # only glibc keeps what is free
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))


def give_back_compiler() -> None:
    """Give the kernel back the compiler's code, 60 MB, when compiled functions are loaded.

    Next to nothing of LLVM is used after that.
    """
    library = ctypes.CDLL(None)
    for start, size in _mapped_code(_COMPILER):
        library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _DONT_NEED)


def _mapped_code(name: str) -> list[tuple[int, int]]:
    # (start, size) of what is executable of a library, which nobody writes to.
    found = []
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            place, access, *rest = line.split(maxsplit=5)
            if access == "r-xp" and rest and rest[-1].endswith(f"/{name}"):
                start, end = (int(part, 16) for part in place.split("-"))
                found.append((start, end - start))
    return found
