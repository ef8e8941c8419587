"""What the arguments of a command mean: which captures, under which names, in which order."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from tracer.core.errors import InputError, unreadable
from tracer.core.printable import sound
from tracer.core.warnings import InputWarning
from tracer.sources.capture import is_capture
from tracer.sources.point_names import places_by_name, stem_of
from tracer.sources.points import (
    POINTS_FILE,
    PointEntry,
    PointNaming,
    entry_of_option,
    read_points,
)
from tracer.sources.rotation import as_one
from tracer.sources.stream import STDIN, kind_of

# In a folder these are never captures, whatever they quote.
_DOCUMENTS = {".md", ".rst", ".toml", ".json", ".jsonl", ".csv", ".html", ".yaml", ".yml", ".py"}
_CAPTURES = {".pcap", ".pcapng", ".cap", ".dmp"}


@dataclass(frozen=True, slots=True)
class Input:
    """One capture to be read."""

    path: str
    name: str  # as shown: relative to the folder that was given, else as given
    naming: PointNaming

    @property
    def size(self) -> int | None:
        """Bytes of the file, None for a stream."""
        try:
            found = os.stat(self.path)
        except (OSError, ValueError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None


def find_inputs(
    given: Sequence[str | Path], points: Mapping[str, str]
) -> tuple[list[Input], list[InputWarning]]:
    """Return the captures that paths and `--point NAME=FILE` options mean, in the order given.

    Folders are searched with their subfolders, in the order of names; a points.toml speaks for the
    files beside it. What is named twice, under whatever name, is there once, with a warning. Raises
    InputError for a path that does not exist or a bad points.toml.
    """
    options = [entry_of_option(name, str(file)) for name, file in points.items()]
    paths = [str(path) for path in given]
    known = {os.path.realpath(path) for path in paths}
    paths += [o.file for o in options if not _is_covered(o.file, known)]
    overrides = {os.path.realpath(option.file): option for option in options}
    finder = _Finder(overrides, keep_folder=len({os.path.realpath(path) for path in paths}) > 1)
    for path in paths:
        finder.add(path)
    namings = as_one([i.path for i in finder.found], [i.naming for i in finder.found])
    found = [replace(i, naming=named) for i, named in zip(finder.found, namings, strict=True)]
    return _told_apart(found), finder.warnings


def _is_covered(file: str, known: set[str]) -> bool:
    real = Path(os.path.realpath(file))
    return any(str(place) in known for place in (real, *real.parents))


class _Finder:
    def __init__(self, options: Mapping[str, PointEntry], *, keep_folder: bool) -> None:
        self._options = options
        self._keep_folder = keep_folder
        self._tables: dict[str, list[PointEntry]] = {}
        self._given: dict[str, str] = {}
        self._read_as: dict[tuple[int, int] | None, str] = {}
        self.found: list[Input] = []
        self.warnings: list[InputWarning] = []

    def add(self, path: str) -> None:
        real = os.path.realpath(path)
        if real in self._given:
            self._warn_of_twin(path, self._given[real])
            return
        self._given[real] = path
        if path == STDIN:
            self.found.append(Input(STDIN, STDIN, PointNaming(STDIN, "stdin")))
        elif kind_of(path) == "folder":
            if not sum(self._add_folder(path, *place) for place in _walk(path)):
                hint = f"`ls -R {quote(path)}` shows what it holds."
                raise InputError(f"{path} holds no captures.", hint)
        else:
            self._add_file(path, path)

    # Returns how many captures the folder holds, those that are known by another name, too.
    def _add_folder(self, given: str, folder: str, names: Sequence[str]) -> int:
        listed = {entry.file for entry in self._table(folder)}
        for name in sorted(listed - set(names)):
            if not os.path.exists(os.path.join(folder, name)):
                message = f"{POINTS_FILE} names {name}, which is not there"
                self.warnings.append(InputWarning("missing-capture", message, name))
        # A points.toml may name files of subfolders, which are met there.
        count = 0
        for name in names:
            path = os.path.join(folder, name)
            shown = path if self._keep_folder else os.path.relpath(path, given)
            is_candidate = Path(name).suffix not in _DOCUMENTS and _may_be_capture(path)
            if name in listed or is_candidate:
                self._add_file(path, shown)
                count += 1
        return count

    def _add_file(self, path: str, shown: str) -> None:
        # Names of files are bytes; what is not UTF-8 in them is shown as such.
        shown = sound(shown)
        file = _identity(path)
        if file in self._read_as:
            self._warn_of_twin(shown, self._read_as[file])
            return
        if file is not None:
            self._read_as[file] = shown
        option = self._options.get(os.path.realpath(path))
        entries = (option,) if option else self._entries(path)
        naming = PointNaming(shown, stem_of(shown), tuple(entries))
        self.found.append(Input(path, shown, naming))

    def _warn_of_twin(self, name: str, first: str) -> None:
        what = "it is named twice" if name == first else f"it is the same as {first}"
        self.warnings.append(InputWarning("same-file", f"{what}; it was read once only", name))

    def _entries(self, path: str) -> list[PointEntry]:
        place = Path(os.path.abspath(path))
        found: list[PointEntry] = []
        for folder in place.parents[:3]:
            relative = str(place.relative_to(folder))
            found += [e for e in self._table(str(folder)) if os.path.normpath(e.file) == relative]
        return found

    def _table(self, folder: str) -> list[PointEntry]:
        folder = os.path.abspath(folder)
        if folder not in self._tables:
            path = Path(folder, POINTS_FILE)
            self._tables[folder] = read_points(path) if path.is_file() else []
        return self._tables[folder]


# What a file is, whatever it is called; None for what is no file, or cannot be asked for.
def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _walk(folder: str) -> list[tuple[str, list[str]]]:
    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error) from None

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found.append((place, sorted(name for name in names if not name.startswith("."))))
    return found


def _may_be_capture(path: str) -> bool:
    # Only what lies in a folder is looked at: a FIFO there might never be written to.
    if not os.path.isfile(path):
        return False
    suffixes = {suffix.rstrip("0123456789") for suffix in Path(path).suffixes}  # nic.pcap1, too
    if _CAPTURES & suffixes or not os.access(path, os.R_OK):
        return True  # if it is none, or cannot be read, that has to be said
    return is_capture(path)


def _told_apart(found: list[Input]) -> list[Input]:
    # Entries of a points.toml know better than names; those that have none are named together.
    places = places_by_name([i.name for i in found if not i.naming.entries])
    return [replace(i, naming=replace(i.naming, told=places.get(i.name))) for i in found]
