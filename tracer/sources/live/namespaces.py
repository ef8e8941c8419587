"""Network namespaces of this host, by the numbers that events carry."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Where namespaces are given names: iproute2 (and Neutron), and Docker.
NAMED_FOLDERS = (Path("/run/netns"), Path("/run/docker/netns"))
_RETRY_SECONDS = 0.5
_TICK_NS = 20_000_000  # files are stamped once in a tick of the kernel's clock, which is shorter
_KEPT = 8  # namespaces of one number: packets are named within seconds
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
    """Names of namespaces by number and time, kept after they go.

    The kernel gives the number of one that has gone to another: each has its events. A name is
    known from when it was made on. Where it is not known whose number it was, there is no name.
    """

    def __init__(self) -> None:
        # By number, in order of time: (since when, UTC ns; which one, None: not known).
        self._history: dict[int, list[tuple[int, Namespace | None]]] = {}
        self._seen_ns: dict[int, int] = {}
        self._asked: dict[int, float] = {}
        self._checked: dict[int, float] = {}
        self._changed: tuple[int, ...] = ()

    def namespace(self, inum: int, time_ns: int) -> Namespace | None:
        """Return the namespace that had a number at a time (UTC), None when it is not known.

        As far as `learn` and `turns` have looked: they are to be called first.
        """
        found = None
        for since_ns, namespace in self._history.get(inum, ()):
            if since_ns <= time_ns:
                found = namespace
        return found

    def turns(self, inums: Sequence[int], first_ns: int, last_ns: int) -> list[int]:
        """Look up what is new, these numbers above all; return when they went to others.

        UTC ns, in order, later than the first time and not later than the last.
        """
        self._look()
        for inum in inums:
            self._look_at(inum)
        since = (since_ns for inum in inums for since_ns, _ in self._history.get(inum, ()))
        return sorted({since_ns for since_ns in since if first_ns < since_ns <= last_ns})

    def learn(self) -> None:
        """Look up every namespace there is now, so that short-lived ones have names."""
        self._take(all_namespaces())

    def _look(self) -> None:
        # The names that came, if any came or went: one look at two folders.
        changed = tuple(changed_ns(folder) for folder in NAMED_FOLDERS)
        if changed != self._changed:
            # What comes within the clock tick of the last change does not show as another one.
            is_over = time.time_ns() - max(changed) > _TICK_NS
            self._changed = changed if is_over else ()
            self._take(named_namespaces())

    def _look_at(self, inum: int) -> None:
        now = time.monotonic()
        if now - self._checked.get(inum, -_CHECK_SECONDS) < _CHECK_SECONDS:
            return
        self._checked[inum] = now
        # Among all that processes are in now and then only.
        if not self._confirm(inum) and self._may_ask(inum):
            self._take(all_namespaces())

    def _confirm(self, inum: int) -> bool:
        # Whether the last one known still has the number.
        now_ns = time.time_ns()
        last = self._history[inum][-1][1] if inum in self._history else None
        if last is None or not last.is_there:
            return False
        self._seen_ns[inum] = now_ns
        return True

    def _take(self, present: dict[int, Namespace]) -> None:
        now_ns = time.time_ns()
        for inum, namespace in present.items():
            known = self._history.setdefault(inum, [])
            self._add(inum, known, namespace, now_ns)
            self._seen_ns[inum] = now_ns
            del known[:-_KEPT]

    def _add(
        self, inum: int, known: list[tuple[int, Namespace | None]], new: Namespace, now_ns: int
    ) -> None:
        last = known[-1][1] if known else None
        if last == new:
            return
        if last is not None and (last.is_host or last.name is None) and new.made_ns is None:
            known[-1] = (known[-1][0], new)  # seen by another process in it
        elif new.made_ns is not None and not new.is_host:
            known.append((new.made_ns, new))
        elif not known or new.is_host:
            known[:] = [(0, new)]
        else:  # it came at some time since the last one was seen
            known += [(self._seen_ns[inum], None), (now_ns, new)]

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
