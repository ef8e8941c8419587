"""`JourneyFrames.report`: the HTML report of what was read."""

import hashlib
import platform
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracer import __version__
from tracer.core.errors import InputError
from tracer.core.journeys import JourneySet
from tracer.core.subset import subset

if TYPE_CHECKING:
    from tracer.api.journey_frames import JourneyFrames
    from tracer.report.document.origin import InputFile

_PACKAGES = ("numpy", "pandas", "pyarrow", "numba")


def write_report(
    frames: "JourneyFrames", path: Path, title: str | None, before: "JourneyFrames | None"
) -> Path:
    """Write the report of the selected journeys, compared with `before`; return its path."""
    from tracer.report.document.origin import Origin
    from tracer.report.document.page import render

    versions = {"tracer": __version__, "Python": platform.python_version()}
    origin = Origin(
        command="tracer.read(…).report(…)",
        made_ns=time.time_ns(),
        versions=versions | {name: metadata.version(name) for name in _PACKAGES},
        inputs=tuple(_input_files(frames)),
        before=() if before is None else tuple(_input_files(before)),
        filter_words=frames.filter_words,
    )
    earlier = None if before is None else _selected(before)
    text = render(_selected(frames), origin, title, earlier)
    try:
        path.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _selected(frames: "JourneyFrames") -> JourneySet:
    whole = frames.journey_set
    if len(frames) == len(whole.journeys):
        return whole
    found = subset(whole, frames.numbers)
    found.lost = whole.lost
    return found


def _input_files(frames: "JourneyFrames") -> "Iterator[InputFile]":
    from tracer.report.document.origin import InputFile

    batch = frames.journey_set.observations
    codes = batch.packets["capture"]
    counts = np.bincount(codes[codes >= 0], minlength=len(batch.captures)).tolist()
    packets = dict(zip(batch.captures, counts, strict=True))
    for name in frames.inputs:
        for shown, file in _files(Path(name)):
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            kind = file.suffix.lstrip(".") or "text"
            yield InputFile(shown, file.stat().st_size, digest, kind, packets.get(file.name))


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield str(path), path
    for file in sorted(path.rglob("*")) if path.is_dir() else ():
        if file.is_file():
            yield str(file.relative_to(path.parent)), file
