"""How many packets may be held at once."""

import re
from pathlib import Path

from tracer.core.schema import PACKET_DTYPE

#: Bytes of a packet while it is joined and shown: three times its columns were measured.
JOINED_BYTES = 4 * PACKET_DTYPE.itemsize
_FALLBACK = 2 << 30  # bytes taken as free where the system does not say
_MEMINFO = Path("/proc/meminfo")


def row_limit(free: int | None = None) -> int:
    """Return how many packets can be joined in the free memory (bytes; by default asked)."""
    available = _available() if free is None else free
    return max(1, available // JOINED_BYTES)


def _available() -> int:
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", _MEMINFO.read_text())
    except OSError:
        return _FALLBACK
    return int(found.group(1)) * 1024 if found else _FALLBACK
