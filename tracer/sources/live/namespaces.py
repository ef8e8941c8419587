"""Network namespaces of this host and the devices in them, by the numbers that events carry."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracer.sources.live.syscalls import network_namespace

#: Where namespaces are given names: iproute2 (and Neutron), and Docker.
NAMED_FOLDERS = (Path("/run/netns"), Path("/run/docker/netns"))
_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace: inode number, name if it has one, a path to enter it by.

    `is_host` marks the one of process 1; its name is None.
    """

    inum: int
    name: str | None
    path: str
    is_host: bool = False


def named_namespaces() -> dict[int, Namespace]:
    """Return the namespaces that have names, by inode number."""
    found: dict[int, Namespace] = {}
    for folder in NAMED_FOLDERS:
        with suppress(OSError):
            for entry in os.scandir(folder):
                with suppress(OSError):
                    status = entry.stat()
                    if status.st_dev != os.stat(folder).st_dev:  # a mount: a namespace is there
                        found[status.st_ino] = Namespace(status.st_ino, entry.name, entry.path)
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
    found = process_namespaces()
    host = [n.inum for n in found.values() if n.is_host]
    for inum, namespace in named_namespaces().items():
        found[inum] = Namespace(inum, namespace.name, namespace.path, inum in host)
    return found


def devices(namespace: Namespace) -> dict[int, str]:
    """Return the names of a namespace's devices by ifindex; empty when it is gone."""
    with suppress(OSError), network_namespace(namespace.path):
        return dict(socket.if_nameindex())
    return {}


class Names:
    """Names of namespaces and devices, looked up when first asked for and kept after they go."""

    def __init__(self) -> None:
        self._namespaces: dict[int, Namespace] = {}
        self._devices: dict[tuple[int, int], str] = {}
        self._asked: dict[tuple[int, int], float] = {}

    def namespace(self, inum: int) -> Namespace | None:
        """Return a namespace by inode number, None when it is not known."""
        if inum not in self._namespaces and self._may_ask((inum, 0)):
            self._namespaces |= all_namespaces()
        return self._namespaces.get(inum)

    def device(self, inum: int, ifindex: int) -> str | None:
        """Return a device's name by namespace and ifindex, None when it is not known."""
        key = (inum, ifindex)
        if key not in self._devices and self._may_ask(key):
            namespace = self.namespace(inum)
            if namespace is not None:
                found = devices(namespace)
                self._devices |= {(inum, index): name for index, name in found.items()}
        return self._devices.get(key)

    def learn(self) -> None:
        """Look up every namespace and device there is now, so that short-lived ones have names."""
        self._namespaces |= all_namespaces()
        for inum, namespace in self._namespaces.items():
            found = devices(namespace)
            self._devices |= {(inum, index): name for index, name in found.items()}

    def _may_ask(self, key: tuple[int, int]) -> bool:
        # What is not there is not asked for again at once: events come by the thousand.
        now = time.monotonic()
        if now - self._asked.get(key, -_RETRY_SECONDS) < _RETRY_SECONDS:
            return False
        self._asked[key] = now
        return True
