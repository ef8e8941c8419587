"""Files that are there twice: another file with the same bytes."""

import filecmp
import os
import stat


class Duplicates:
    """Remembers what has been read."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[tuple[str, str]]] = {}

    def twin_of(self, path: str) -> str | None:
        """Return the name of a file read before that holds the same, None for a new one."""
        found = _regular(path)
        if found is None:
            return None
        for other, other_name in self._by_size.get(found.st_size, []):
            try:
                if filecmp.cmp(path, other, shallow=False):
                    return other_name
            except OSError:  # gone or closed to us meanwhile: reading it will say so
                continue
        return None

    def add(self, path: str, name: str) -> None:
        """Remember a file that has been read."""
        found = _regular(path)
        if found is not None:
            self._by_size.setdefault(found.st_size, []).append((path, name))


def _regular(path: str) -> os.stat_result | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None
