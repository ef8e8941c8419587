"""What the arguments of a command mean: which captures, under which names, in which order."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from tracer.core.errors import InputError
from tracer.core.printable import sound
from tracer.core.warnings import InputWarning
from tracer.sources.capture import is_capture
from tracer.sources.folders import Identity, hindrance, identity, walk
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
_ABOVE = 3  # folders above a file whose points.toml may speak for it; all below the one given
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
    known = {form(path) for path in paths for form in (os.path.realpath, os.path.abspath)}
    paths += [o.file for o in options if not _is_covered(o.file, known)]
    overrides: dict[str, PointEntry] = {}
    for name, option in zip(points, options, strict=True):
        other = overrides.setdefault(os.path.realpath(option.file), option)
        if replace(other, file="") != replace(option, file=""):
            raise InputError(
                f"--point names {option.file} twice, and differently.",
                f"Leave out one of them, such as {quote(f'--point={name}={option.file}')}.",
            )
    finder = _Finder(overrides, keep_folder=len({os.path.realpath(path) for path in paths}) > 1)
    for path in paths:
        finder.add(path)
    namings = as_one([i.path for i in finder.found], [i.naming for i in finder.found])
    found = [replace(i, naming=named) for i, named in zip(finder.found, namings, strict=True)]
    return _told_apart(found), finder.warnings


def _is_covered(file: str, known: set[str]) -> bool:
    # Under either name: a folder that is given may be a link, and may hold links.
    places = (Path(os.path.realpath(file)), Path(os.path.abspath(file)))
    return any(str(path) in known for place in places for path in (place, *place.parents))


class _Finder:
    def __init__(self, options: Mapping[str, PointEntry], *, keep_folder: bool) -> None:
        self._options = options
        self._keep_folder = keep_folder
        self._tables: dict[str, list[PointEntry]] = {}
        self._given: dict[str, str] = {}
        self._read_as: dict[Identity | None, str] = {}
        self._met: set[str] = set()  # absolute paths of files, also under a second name
        self._roots: dict[str, str] = {}  # folders met to the one that was given
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
            self._add_folder(path)
        else:
            self._add_file(path, path)

    def _add_folder(self, given: str) -> None:
        def shown(path: str) -> str:
            return sound(path if self._keep_folder else os.path.relpath(path, given))

        walked = walk(given)
        told = [InputWarning(kind, what, shown(path)) for path, kind, what in walked.problems]
        count = 0
        for folder, names in walked.folders:
            self._roots[os.path.abspath(folder)] = os.path.abspath(given)
            listed = {os.path.normpath(entry.file) for entry in self._table(folder)}
            for name in names:
                path = os.path.join(folder, name)
                is_named = name in listed  # one may name files of subfolders: they are met there
                if not is_named and Path(name).suffix in _DOCUMENTS:
                    continue
                hindered = hindrance(path)
                if hindered is not None and not (is_named and _is_openable(path)):
                    told.append(InputWarning("not-read", hindered, shown(path)))
                elif is_named or _may_be_capture(path):
                    self._add_file(path, shown(path))
                    count += 1  # those that are known by another name, too
        if not count:
            what = f": {told[0].capture}: {told[0].message}" if told else ""
            hint = f"`ls -lR {quote(given)}` shows what it holds."
            raise InputError(f"{given} holds no captures{what}.", hint)
        self.warnings += told
        for folder, _ in walked.folders:
            self._warn_of_unread(folder)

    # What points.toml says in vain is told: of a file that is not there, or that is not read.
    def _warn_of_unread(self, folder: str) -> None:
        for name in sorted({entry.file for entry in self._table(folder)}):
            path = os.path.join(folder, name)
            if not os.path.lexists(path):
                message = f"{POINTS_FILE} names {name}, which is not there"
                self.warnings.append(InputWarning("missing-capture", message, sound(name)))
            elif os.path.abspath(path) not in self._met:
                message = (
                    f"{POINTS_FILE} names {name}, which is not a file that is read there or below"
                )
                self.warnings.append(InputWarning("unused-point", message, sound(name)))

    def _add_file(self, path: str, shown: str) -> None:
        # Names of files are bytes; what is not UTF-8 in them is shown as such.
        shown = sound(shown)
        self._met.add(os.path.abspath(path))
        file = identity(path) if os.path.isfile(path) else None
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
        root = self._roots.get(str(place.parent))
        found: list[PointEntry] = []
        for above, folder in enumerate(place.parents):
            if above >= _ABOVE and (root is None or not folder.is_relative_to(root)):
                break
            relative = str(place.relative_to(folder))
            own = [e for e in self._table(str(folder)) if os.path.normpath(e.file) == relative]
            if found and any(replace(e, file="") != replace(found[0], file="") for e in own):
                message = f"{folder}/{POINTS_FILE} describes it, too; the one nearer to it holds"
                self.warnings.append(InputWarning("described-twice", message, relative))
            found += own
        return found

    def _table(self, folder: str) -> list[PointEntry]:
        folder = os.path.abspath(folder)
        if folder not in self._tables:
            path = Path(folder, POINTS_FILE)
            self._tables[folder] = read_points(path) if os.path.lexists(path) else []
        return self._tables[folder]


# A FIFO or so that points.toml names is read, though nothing else of the kind is.
def _is_openable(path: str) -> bool:
    return os.path.exists(path) and kind_of(path) == "file"


def _may_be_capture(path: str) -> bool:
    suffixes = {suffix.rstrip("0123456789") for suffix in Path(path).suffixes}  # nic.pcap1, too
    if _CAPTURES & suffixes or not os.access(path, os.R_OK):
        return True  # if it is none, or cannot be read, that has to be said
    return is_capture(path)


def _told_apart(found: list[Input]) -> list[Input]:
    # Entries of a points.toml know better than names; those that have none are named together.
    places = places_by_name([i.name for i in found if not i.naming.entries])
    return [replace(i, naming=replace(i.naming, told=places.get(i.name))) for i in found]
