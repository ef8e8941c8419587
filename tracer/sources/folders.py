"""The files of a folder that was given and of its subfolders, and what of them cannot be read."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.core.errors import unreadable
from tracer.core.printable import sound

Identity = tuple[int, int]  # device and inode


@dataclass(slots=True)
class Walk:
    """The folders below one, itself included, and what was wrong with some of them."""

    folders: list[tuple[str, list[str]]] = field(default_factory=list)  # path, names of its files
    problems: list[tuple[str, str, str]] = field(default_factory=list)  # path, kind, message

    def files(self) -> Iterator[str]:
        """Yield the path of each file, whatever it is: also pipes, and links that lead nowhere."""
        for folder, names in self.folders:
            yield from (os.path.join(folder, name) for name in names)


def walk(folder: str) -> Walk:
    """Return the folders below one with their files, in the order of names; hidden ones are left
    out.

    Links to folders are followed, but each folder is there once, by its own place if it has one
    below, and links that lead back up are not followed. Those, and subfolders that cannot be
    listed, are told. Raises InputError where the folder itself cannot be listed.
    """
    found = Walk()
    seen = _own(folder)
    # With its place without links, and those of the links on the way to it.
    waiting: list[tuple[str, str, tuple[str, ...]]] = [(folder, os.path.realpath(folder), ())]
    while waiting:
        place, own, left = waiting.pop()
        try:
            inside, names = _listed(place)
        except OSError as error:
            if place == folder:
                raise unreadable(place, error) from None
            message = f"it cannot be listed: {error.strerror}"
            found.problems.append((place, "unreadable-folder", message))
            continue
        found.folders.append((place, names))
        for name in reversed(inside):
            path = os.path.join(place, name)
            if not os.path.islink(path):
                waiting.append((path, os.path.join(own, name), left))
                continue
            real = os.path.realpath(path)
            if refusal := _refusal(path, real, (*left, own), seen):
                found.problems.append((path, "linked-folder", refusal))
                continue
            seen |= _own(path)
            waiting.append((path, real, (*left, own)))
    return found


def hindrance(path: str) -> str | None:
    """Return why what lies at a path in a folder is not read: a link that leads nowhere, a pipe, a
    socket, a device, or one the system does not let us look at; None for a file.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and os.path.islink(path):
            return f"it is a link to {sound(os.readlink(path))}, which is not there"
        reason = error.strerror if isinstance(error, OSError) else error
        return f"it cannot be looked at: {reason}"
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISFIFO(mode):
        return "it is a FIFO, which nobody may write to; name it to have it read"
    return f"it is a {'socket' if stat.S_ISSOCK(mode) else 'device'}, not a capture"


def identity(path: str) -> Identity | None:
    """Return what a file or folder is, whatever it is called; None where that is not known."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


# The folders below one that no link is needed for.
def _own(folder: str) -> set[Identity | None]:
    found = {identity(folder)}
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(OSError):  # told where it is visited
            paths = [os.path.join(place, name) for name in _listed(place)[0]]
            own = [path for path in paths if not os.path.islink(path)]
            found.update(map(identity, own))
            waiting += own
    return found


# The names of its subfolders, links to some included, and of its files, in order.
def _listed(folder: str) -> tuple[list[str], list[str]]:
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    inside = sorted(entry.name for entry in shown if _is_folder(entry))
    return inside, sorted({entry.name for entry in shown} - {*inside})


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # told as a file
        return False


def _refusal(
    path: str, real: str, above: tuple[str, ...], seen: set[Identity | None]
) -> str | None:
    if any(f"{place}/".startswith(f"{real.rstrip('/')}/") for place in above):
        return "it is a link to a folder that it lies in; it was not followed"
    if identity(path) in seen:
        return f"it is a link to {sound(real)}, which is read already"
    return None
