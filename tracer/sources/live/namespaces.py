"""Network namespaces of this host, by the numbers that events carry."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Where namespaces are given names: iproute2 (and Neutron), and Docker.
NAMED_FOLDERS = (Path("/run/netns"), Path("/run/docker/netns"))
_RETRY_SECONDS = 0.5
_CHECK_SECONDS = 0.01  # a namespace does not go, and another one send packets, within less


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace: inode number, name if it has one, a path to enter it by.

    `is_host` marks the one of process 1; its name is None. `made_ns`: when its name was made.
    """

    inum: int
    name: str | None
    path: str
    is_host: bool = False
    made_ns: int | None = None

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to it: the kernel gives numbers of gone ones to new ones."""
        with suppress(OSError):
            status = os.stat(self.path)
            return status.st_ino == self.inum and self.made_ns in (None, status.st_ctime_ns)
        return False


def named_namespaces() -> dict[int, Namespace]:
    """Return the namespaces that have names, by inode number; the host's is marked."""
    found: dict[int, Namespace] = {}
    host = _inum_of("/proc/1/ns/net")
    for folder in NAMED_FOLDERS:
        with suppress(OSError):
            for entry in os.scandir(folder):
                with suppress(OSError):
                    status = entry.stat()
                    if status.st_dev != os.stat(folder).st_dev:  # a mount: a namespace is there
                        inum, made_ns = status.st_ino, status.st_ctime_ns
                        is_host = inum == host
                        found[inum] = Namespace(inum, entry.name, entry.path, is_host, made_ns)
    return found


def process_namespaces() -> dict[int, Namespace]:
    """Return the namespaces that processes are in, by inode number; the host's is marked."""
    found: dict[int, Namespace] = {}
    for pid in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        path = f"/proc/{pid}/ns/net"
        with suppress(OSError):
            inum = os.stat(path).st_ino
            if inum not in found:
                found[inum] = Namespace(inum, None, path, is_host=pid == "1")
    return found


def all_namespaces() -> dict[int, Namespace]:
    """Return every namespace that has a name or a process, by inode number; names win."""
    return process_namespaces() | named_namespaces()


class Names:
    """Names of namespaces, looked up when first asked for and kept after they go.

    Until another namespace has their number: then these are the names of that one.
    """

    def __init__(self) -> None:
        self._namespaces: dict[int, Namespace] = {}
        self._asked: dict[int, float] = {}
        self._checked: dict[int, float] = {}
        self._changed: tuple[int, ...] = ()

    def namespace(self, inum: int) -> Namespace | None:
        """Return a namespace by inode number, None when it is not known."""
        now = time.monotonic()
        if now - self._checked.get(inum, -_CHECK_SECONDS) >= _CHECK_SECONDS:
            self._checked[inum] = now
            known = self._namespaces.get(inum)
            if known is None or not known.is_there:
                self._look_for(inum)
        return self._namespaces.get(inum)

    def learn(self) -> None:
        """Look up every namespace there is now, so that short-lived ones have names."""
        self._take(all_namespaces())

    def _look_for(self, inum: int) -> None:
        # Where a name came or went at once, among all that processes are in now and then only.
        changed = tuple(changed_ns(folder) for folder in NAMED_FOLDERS)
        if changed != self._changed:
            self._changed = changed
            self._take(named_namespaces())
        is_gone = inum not in self._namespaces or not self._namespaces[inum].is_there
        if is_gone and self._may_ask(inum):
            self._take(all_namespaces())

    def _take(self, present: dict[int, Namespace]) -> None:
        self._namespaces |= present

    def _may_ask(self, inum: int) -> bool:
        # What is not there is not asked for again at once: events come by the thousand.
        now = time.monotonic()
        if now - self._asked.get(inum, -_RETRY_SECONDS) < _RETRY_SECONDS:
            return False
        self._asked[inum] = now
        return True


def _inum_of(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_ino
    return 0


def changed_ns(folder: Path) -> int:
    """Return when a name came into a folder or left it, 0 without the folder."""
    with suppress(OSError):
        return folder.stat().st_mtime_ns
    return 0
