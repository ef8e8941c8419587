"""BPF netfilter programs in network namespaces: just before and just after NAT, where there is NAT.

And first of all in PREROUTING where devices lie on others, if no other program sees those.

NAT sits at priority -100 on the way in (PREROUTING, OUTPUT) and at 100 on the way out (POSTROUTING,
INPUT; enum nf_ip_hook_priorities). A link holds its namespace, so the links of a namespace whose
last name and process are gone are closed: it can then really go.
"""

import errno
import os
import time
from collections.abc import Callable, Sequence

from tracer.sources.live import syscalls
from tracer.sources.live.namespaces import (
    NAMED_FOLDERS,
    Namespace,
    all_namespaces,
    changed_ns,
    named_namespaces,
)
from tracer.sources.live.nat_rules import has_nat
from tracer.sources.live.upper_devices import has_upper

_NEIGHBOURS = 16
_FIRST = -451  # before fragments are put together (NF_IP_PRI_RAW_BEFORE_DEFRAG)
_YOUNG_SECONDS = 10.0  # how long a new namespace is asked again soon: its rules come after it
_SOON_SECONDS = 0.05
_FAMILIES = (2, 10)  # NFPROTO_IPV4, NFPROTO_IPV6
_PREROUTING, _INPUT, _OUTPUT, _POSTROUTING = 0, 1, 3, 4
# (hook, priority just before NAT, priority just after)
_NAT = (
    (_PREROUTING, -101, -99),
    (_OUTPUT, -101, -99),
    (_POSTROUTING, 99, 101),
    (_INPUT, 99, 101),
)


class Links:
    """The links of programs in namespaces that are wanted; `join_` follows their coming.

    `places`: program (descriptor), hook, priority, and the step to the next priority if that one is
    taken. `is_wanted` answers for the namespace that the thread is in.
    """

    def __init__(
        self, places: Sequence[tuple[int, int, int, int]], is_wanted: Callable[[], bool]
    ) -> None:
        self._places = places
        self._is_wanted = is_wanted
        self._links: dict[int, list[int]] = {}
        self._named: tuple[int, ...] = ()
        self._first_seen: dict[int, float] = {}
        self._asked = 0.0
        self._barred: set[int] = set()
        self.failed, self.why = 0, ""  # how many namespaces are not watched, and the last reason

    @property
    def joined(self) -> frozenset[int]:
        """Inode numbers of the namespaces that are watched."""
        return frozenset(self._links)

    def join_all(self) -> None:
        """Link into every namespace there is and leave those that are gone."""
        self._join(all_namespaces())

    def join_named(self) -> None:
        """Do the same when a name came or went since the last call: one look at two folders.

        A namespace that came lately is asked again until it has NAT, or is not new any more.
        """
        stamp = tuple(changed_ns(folder) for folder in NAMED_FOLDERS)
        now = time.monotonic()
        if now - self._asked >= _SOON_SECONDS and any(
            now - seen < _YOUNG_SECONDS and inum not in self._links
            for inum, seen in self._first_seen.items()
        ):
            self._asked = now
            self._join(named_namespaces(), leave=False)
        if stamp != self._named:
            self._named = stamp
            gone = self._links.keys() - named_namespaces().keys()
            # Only a namespace without processes is gone with its name.
            self._join(all_namespaces() if gone else named_namespaces())

    def _join(self, present: dict[int, Namespace], *, leave: bool = True) -> None:
        for inum in self._links.keys() - present.keys() if leave else ():
            _close(self._links.pop(inum))
        for inum in self._first_seen.keys() - present.keys() if leave else ():
            del self._first_seen[inum]
        if leave:
            self._barred &= present.keys()
        for inum, namespace in present.items():
            self._first_seen.setdefault(inum, time.monotonic())
            if inum not in self._links and inum not in self._barred:
                self._enter(namespace)

    def _enter(self, namespace: Namespace) -> None:
        links: list[int] = []
        try:
            with syscalls.network_namespace(namespace.path):
                if not self._is_wanted():
                    return
                for family in _FAMILIES:
                    for program, hook, priority, step in self._places:
                        links.append(_link(program, family, hook, priority, step))
        except FileNotFoundError:  # gone meanwhile
            _close(links)
        except OSError as error:
            _close(links)
            self._barred.add(namespace.inum)
            self.failed, self.why = self.failed + 1, _reason(error)
        else:
            self._links[namespace.inum] = links

    def close(self) -> None:
        """Close every link."""
        for links in self._links.values():
            _close(links)
        self._links.clear()


class NatLinks(Links):
    """The links of two programs (descriptors) around NAT."""

    def __init__(self, before: int, after: int) -> None:
        places = []
        for hook, earlier, later in _NAT:
            places += [(after, hook, later, 1), (before, hook, earlier, -1)]
        super().__init__(places, has_nat)
        self._after = after

    def works(self) -> bool:
        """Return whether this kernel takes such links, in this namespace if nowhere yet."""
        if self._links:
            return True
        try:
            os.close(_link(self._after, _FAMILIES[0], *_NAT[0][:2], -1))
        except OSError:
            return False
        return True


def upper_links(program: int) -> Links:
    """Return the links of the program that sees what devices have from others."""
    return Links([(program, _PREROUTING, _FIRST, -1)], has_upper)


def _reason(error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"{error.strerror}: entering one needs CAP_SYS_ADMIN"
    return str(error.strerror)


def _link(program: int, family: int, hook: int, priority: int, step: int) -> int:
    # Two BPF programs cannot have one priority: a second tracer stands next to the first.
    for place in range(_NEIGHBOURS):
        try:
            return syscalls.link_netfilter(program, family, hook, priority + step * place)
        except OSError as error:
            if error.errno != errno.EBUSY or place == _NEIGHBOURS - 1:
                raise
    raise AssertionError("unreachable")


def _close(links: list[int]) -> None:
    for link in links:
        os.close(link)
