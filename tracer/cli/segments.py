"""`--segments FILE`: loss, reordering, retransmissions and delays of each flow's segments."""

from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from tracer.cli.output import destination, write_lines, write_table
from tracer.core.journeys import FLOW_DTYPE, JourneySet

if TYPE_CHECKING:
    from tracer.report.statistics.flow_segments import FlowSegments

FORMATS = ("csv", "parquet", "jsonl")


def checked(
    context: click.Context, parameter: click.Parameter, file: str | None
) -> str | None:  # a click callback
    """Return the file's name; raises BadParameter where it tells no format."""
    if file is not None and file.rpartition(".")[2] not in FORMATS:
        names = ", ".join(f".{name}" for name in FORMATS)
        raise click.BadParameter(f"{file!r} ends in none of {names}.")
    return file


class SegmentsFile:
    """Adds up the segments of what is shown, and writes them to the file; to none for None."""

    def __init__(self, file: str | None, most_delays: int | None = None) -> None:
        self._file = file
        self._most = most_delays
        self._segments: FlowSegments | None = None
        self._flows = np.empty(0, FLOW_DTYPE)

    @property
    def is_wanted(self) -> bool:
        """Whether there is a file to write."""
        return self._file is not None

    def add(self, journey_set: JourneySet, chosen: NDArray[np.int64] | None = None) -> None:
        """Add the chosen journeys, all by default."""
        if self._file is None:
            return
        if self._segments is None:
            from tracer.report.statistics.flow_segments import FlowSegments

            self._segments = FlowSegments(self._most)
        self._segments.add(journey_set, chosen)
        self._flows = journey_set.flows

    def write(self) -> None:
        """Write the table."""
        if self._file is None:
            return
        from tracer.report.segment_table import segment_lines, segment_table
        from tracer.report.statistics.flow_segments import FlowSegments

        table = segment_table(self._segments or FlowSegments(), self._flows)
        format_ = self._file.rpartition(".")[2]
        with destination(self._file) as file:
            if format_ == "jsonl":
                write_lines(segment_lines(table), file)
            else:
                write_table([table], format_, file)
