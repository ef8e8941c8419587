"""Memory that was needed for a while and is given back: following goes on for days."""

import ctypes
from contextlib import suppress
from pathlib import Path

_DONT_NEED = 4  # MADV_DONTNEED: pages of a file come again from the page cache when they are used
_COMPILER = "libllvmlite.so"


def give_back() -> None:
    """Give the kernel back what is free in the heap, and the compiler's code.

    Compiled functions are loaded by then; of LLVM, 70 MB, next to nothing is used after that.
    """
    library = ctypes.CDLL(None)
    for start, size in _mapped_code(_COMPILER):
        library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _DONT_NEED)
    with suppress(AttributeError):  # only glibc keeps what is free
        library.malloc_trim(ctypes.c_size_t(0))


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
