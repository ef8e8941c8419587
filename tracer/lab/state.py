"""What the lab made, kept in a file, so that it removes that and nothing else.

The names are claimed in the file before the first namespace is made, and their inodes are added
right after. A namespace counts as the lab's own when its inode is the recorded one, or, when `up`
died before it could record any, when it is younger than the claim.
"""

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tracer.core.errors import HostError

FOLDER = Path("/run/tracer-lab")
NETNS_FOLDER = Path("/var/run/netns")


@dataclass(slots=True)
class LabState:
    """The lab's own record: what it claimed and made.

    `namespaces` maps a name to its netns inode (None: claimed, not known to exist), `claimed_ns`
    is the UTC epoch in nanoseconds, `complete` is True once `up` has finished.
    """

    claimed_ns: int
    namespaces: dict[str, int | None] = field(default_factory=dict)
    tagging: str = "untagged"
    complete: bool = False

    def owns(self, name: str) -> bool:
        """Return True when the namespace exists now and is the one the lab made."""
        found = netns_stat(name)
        if found is None or name not in self.namespaces:
            return False
        inode, made_ns = found
        recorded = self.namespaces[name]
        return made_ns >= self.claimed_ns if recorded is None else inode == recorded


def netns_stat(name: str) -> tuple[int, int] | None:
    """Return a named namespace's inode and creation time in ns (UTC epoch), None if absent."""
    try:
        found = (NETNS_FOLDER / name).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_ctime_ns


def claim(names: list[str]) -> LabState:
    """Return a fresh record that claims these names, already saved."""
    # The namespace's inode is stamped with the kernel's coarse clock, which lags by up to a tick.
    state = LabState(claimed_ns=time.time_ns() - 20_000_000, namespaces=dict.fromkeys(names))
    save(state)
    return state


def save(state: LabState) -> None:
    """Write the record; a crash leaves the old or the new one, never half of it."""
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = FOLDER / "state.json.new"
    draft.write_text(json.dumps(asdict(state), indent=1) + "\n")
    draft.replace(FOLDER / "state.json")


def load() -> LabState | None:
    """Return the record of a lab made on this host, None when there is none."""
    try:
        return LabState(**json.loads((FOLDER / "state.json").read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise HostError(
            f"The lab's record {FOLDER / 'state.json'} cannot be read: {error}.",
            hint="Look at `ip netns`, delete the lab's namespaces by hand, then the record.",
        ) from error


def forget() -> None:
    """Remove the record."""
    (FOLDER / "state.json").unlink(missing_ok=True)


@contextlib.contextmanager
def locked(name: str = "lock") -> Iterator[None]:
    """Hold a lock of the lab's folder; a second holder waits."""
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (FOLDER / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
