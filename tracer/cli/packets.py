"""Journeys as a pcapng file: the packets' own bytes, or headers rebuilt where there are none."""

from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tracer.cli.output import destination
from tracer.core.journeys import JourneySet
from tracer.core.warnings import InputWarning

if TYPE_CHECKING:
    from tracer.sources.originals import Originals


def write_packets(
    journey_set: JourneySet,
    chosen: NDArray[np.int64],
    output: str | None,
    originals: "Originals | None",
) -> None:
    """Write the hops of the chosen journeys; what has no bytes is added to the set's warnings.

    Without `originals` (redaction: bytes would show what names hide) all headers are rebuilt, which
    is what was asked for and no warning.
    """
    from tracer.report.pcapng.writer import PcapngWriter

    with originals or nullcontext(), destination(output) as file:
        writer = PcapngWriter(file, originals)
        writer.write(journey_set, chosen)
    rebuilt = writer.rebuilt if originals is not None else 0
    journey_set.warnings += _warnings(rebuilt, writer.left_out)


def _warnings(rebuilt: int, left_out: int) -> tuple[InputWarning, ...]:
    found = []
    if rebuilt:
        message = (
            "packets of text, recordings or standard input have no bytes to write: their headers"
            " were rebuilt from what was decoded, as their comments say"
        )
        found.append(InputWarning("rebuilt", message, count=rebuilt))
    if left_out:
        message = "packets without known addresses could not be rebuilt and were left out"
        found.append(InputWarning("left-out", message, count=left_out))
    return tuple(found)
