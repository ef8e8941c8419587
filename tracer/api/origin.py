"""How a report was made: the command, the versions, the inputs and their digests."""

import contextlib
import hashlib
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracer import __version__
from tracer.core.journeys import JourneySet
from tracer.sources.folders import walk

if TYPE_CHECKING:
    from tracer.core.redaction.redactor import Redactor
    from tracer.report.document.origin import InputFile, Origin

_PACKAGES = ("numpy", "pandas", "pyarrow", "numba")


def origin_of(
    command: str,
    now: tuple[JourneySet, Sequence[str]],
    before: tuple[JourneySet, Sequence[str]] | None = None,
    filter_words: str = "",
) -> "Origin":
    """Return how a report is made of journeys and the files they were read from.

    Every file is read for its digest; a name without a file is a stream.
    """
    from tracer.report.document.origin import Origin

    versions = {"tracer": __version__, "Python": platform.python_version()}
    return Origin(
        command=command,
        made_ns=time.time_ns(),
        versions=versions | {name: metadata.version(name) for name in _PACKAGES},
        inputs=tuple(_input_files(*now)),
        before=() if before is None else tuple(_input_files(*before)),
        filter_words=filter_words,
    )


def redacted(origin: "Origin", redactor: "Redactor") -> "Origin":
    """Return the same without names: of the command only that there was one."""

    def renamed(files: "tuple[InputFile, ...]") -> "tuple[InputFile, ...]":
        # A name as the journeys have it, without its folder: the two must agree.
        return tuple(replace(each, name=redactor.capture(Path(each.name).name)) for each in files)

    return replace(
        origin,
        command="tracer report (redacted)",
        filter_words="what a filter chose" if origin.filter_words else "",
        inputs=renamed(origin.inputs),
        before=renamed(origin.before),
    )


def _packets(journey_set: JourneySet) -> Mapping[str, int]:
    batch = journey_set.observations
    codes = batch.packets["capture"]
    counts = np.bincount(codes[codes >= 0], minlength=len(batch.captures))
    return dict(zip(batch.captures, counts.tolist(), strict=True))


def _input_files(journey_set: JourneySet, names: Sequence[str]) -> "Iterator[InputFile]":
    from tracer.report.document.origin import InputFile

    packets = _packets(journey_set)
    for name in names:
        path = Path(name)
        if not path.exists():
            yield InputFile(name, None, None, "stream", packets.get(name))
        for shown, file in _files(path):
            digest: str | None = None
            with contextlib.suppress(OSError), file.open("rb") as stream:  # told where it was read
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            kind = file.suffix.lstrip(".") or "text"
            yield InputFile(shown, file.stat().st_size, digest, kind, packets.get(file.name))


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield str(path), path
    for file in sorted(map(Path, walk(str(path)).files())) if path.is_dir() else ():
        if os.path.isfile(file):
            yield str(file.relative_to(path.parent)), file
