"""`JourneyFrames.report`: the HTML report of what was read."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from tracer.api.origin import origin_of
from tracer.core.errors import InputError
from tracer.core.journeys import JourneySet
from tracer.core.subset import subset

if TYPE_CHECKING:
    from tracer.api.journey_frames import JourneyFrames


def write_report(
    frames: "JourneyFrames", path: Path, title: str | None, before: "JourneyFrames | None"
) -> Path:
    """Write the report of the selected journeys, compared with `before`; return its path."""
    from tracer.report.document.page import render

    earlier = None if before is None else _selected(before)
    origin = origin_of(
        "tracer.read(…).report(…)",
        (frames.journey_set, frames.inputs),
        None if before is None else (before.journey_set, before.inputs),
        frames.filter_words,
    )
    text = render(_selected(frames), origin, title, earlier)
    try:
        path.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        with contextlib.suppress(OSError):  # what is unfinished could be taken for whole
            if path.is_file():
                path.unlink()
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Name another file."
        ) from error
    return path


def _selected(frames: "JourneyFrames") -> JourneySet:
    whole = frames.journey_set
    if len(frames) == len(whole.journeys):
        return whole
    found = subset(whole, frames.numbers)
    found.lost = whole.lost
    return found
