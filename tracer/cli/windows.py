"""`tracer offline` on captures too large to hold: read side by side, joined window by window."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from tracer.api.joining import losses
from tracer.cli.ahead import ahead
from tracer.cli.output import (
    destination,
    is_coloured,
    terminal_width,
    write_lines,
    write_table,
    write_text,
)
from tracer.cli.segments import SegmentsFile
from tracer.core.batch import Gap, ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.errors import InputError
from tracer.core.exchanges import first_exchanges
from tracer.core.filter import FlowFilter
from tracer.core.journeys import JourneySet
from tracer.core.subset import subset
from tracer.core.warnings import InputWarning
from tracer.process_memory import give_back_compiler
from tracer.sources.folders import walk

if TYPE_CHECKING:
    from pyarrow import Table

    from tracer.core.nat_rules.rule import NatRule
    from tracer.core.redaction.redactor import Redactor
    from tracer.correlate.clocks.known import KnownClocks
    from tracer.correlate.order.ways import KnownWays
    from tracer.sources.read import Reading

T = TypeVar("T")

#: Bytes of captures from which on they are joined in windows: about two million small packets.
LARGE = 400_000_000
_MOST_ROWS = 1 << 17  # of all captures together that are read before there is a window
# Of all captures together, looked at for how far clocks are off; more where few do not say it.
_FEW_ROWS, _MANY_ROWS = 1 << 18, 1 << 22
_MOST_DELAYS = 4_000_000  # distinct ones of flows' segments that are kept before they are rounded
_GIVES_WAY = 10  # on the scale of nice(2)
_OTHER_FILES = 64  # that are open beside the captures
_EARLY = (
    "Journeys that ended where others went on only later are shown as delivered or unfinished; "
    "name a file with -o, for which captures are read again."
)
_PACKED = {".gz": 6, ".xz": 8, ".zst": 6}  # bytes of a capture in one compressed byte, about


def is_large(captures: Sequence[str], points: Mapping[str, str]) -> bool:
    """Return whether the captures are too large to hold; never for standard input."""
    total = 0
    for given in (*captures, *points.values()):
        for file in walk(given).files() if os.path.isdir(given) else [given]:
            if os.path.isfile(file):
                total += os.stat(file).st_size * _PACKED.get(Path(file).suffix, 1)
    return total >= LARGE


def _allow_files(count: int) -> None:
    # All captures are open at once.
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + _OTHER_FILES
    if needed > hard != resource.RLIM_INFINITY:
        raise InputError(
            f"{count} captures cannot be read side by side: {hard} files may be open.",
            "Merge those of one point with mergecap, or give fewer.",
        )
    if needed > soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class Windows:
    """The journeys of large captures in parts; `summary` is complete once `parts` is exhausted."""

    def __init__(
        self,
        captures: Sequence[str],
        points: Mapping[str, str],
        redactor: "Redactor | None" = None,
        segments: str | None = None,
        ways: "KnownWays | None" = None,
    ) -> None:
        from tracer.correlate.order.ways import KnownWays
        from tracer.report.running import RunningSummary
        from tracer.sources.read import Reading

        self.segments = SegmentsFile(segments, _MOST_DELAYS)

        self._captures, self._points, self._segments_file = captures, points, segments
        self._ways = ways or KnownWays()
        self._readings, self._warnings = Reading.side_by_side(captures, points, _MOST_ROWS)
        _allow_files(len(self._readings))
        self.nat_rules: Sequence[NatRule] = ()
        self._redactor = redactor
        self._refusals: list[InputError] = []
        self._observations = 0
        self._undecoded: Counter[str] = Counter()
        self._shown = 0
        self._said = JourneySet(ObservationBatch())  # what the latest part said of them all
        self._running = RunningSummary()
        self._begun = [self._batches(reading) for reading in self._readings]

    def begin(self) -> None:
        """Decode the first packets, and so compile the decoder where it is not yet."""
        if self._begun:
            first = next(self._begun[0], None)
            if first is not None:
                self._begun[0] = _handed_on([first], self._begun[0])

    def parts(
        self, entries: Sequence[ConntrackEntry], conditions: FlowFilter, count: int | None
    ) -> Iterator[JourneySet]:
        """Yield the journeys that pass the filter, of `count` exchanges at most.

        Raises InputError when no capture can be used.
        """
        from tracer.correlate.windows.stream import join_windows

        left, clocks = count, self._clocks()
        joined = join_windows(
            self._begun, entries, ahead=ahead, gaps=self._gaps(entries, clocks.copy()),
            ways=self._ways, clocks=clocks, with_events=self.segments.is_wanted,
        )  # fmt: skip
        for part in joined:
            shown, left = self._shown_of(part, conditions, left)
            del part  # a part is as large as a window: none is held while the next one is made
            give_back_compiler()
            yield shown
            del shown
        if self._refusals and not any(reading.captures for reading in self._readings):
            raise self._refusals[0]

    @property
    def is_repeatable(self) -> bool:
        """Whether the captures can be read again."""
        return all(reading.is_repeatable for reading in self._readings)

    @property
    def judged_early(self) -> int:
        """How many journeys ended where others were seen to go on only after they were given out.

        They were taken for delivered or unfinished: a capture of what follows began later, or the
        way was broken at first. `again` knows better.
        """
        return self._ways.judged_early()

    def again(self) -> "Windows":
        """Return the same from the start, with all ways known."""
        self._ways.is_complete = True
        again = Windows(
            self._captures, self._points, self._redactor, self._segments_file, self._ways
        )
        again.nat_rules = self.nat_rules
        return again

    def _shown_of(
        self, part: JourneySet, conditions: FlowFilter, left: int | None
    ) -> tuple[JourneySet, int | None]:
        # What is shown of a part, and how many exchanges are then left to be shown.
        from tracer.correlate.select import select

        self._running.add(part)
        self._said.clocks, self._said.warnings = part.clocks, part.warnings
        chosen, exchanges = first_exchanges(part, select(part, conditions), left)
        left = None if left is None else left - exchanges
        self._shown += len(chosen)
        shown = part if len(chosen) == len(part.journeys) else subset(part, chosen)
        shown.nat_rules = tuple(self.nat_rules)
        shown = shown if self._redactor is None else self._redactor.journey_set(shown)
        self.segments.add(shown)
        return shown, left

    def _clocks(self) -> "KnownClocks":
        # Where stamps are seconds off each other, captures are not read side by side by them.
        from tracer.correlate.clocks.known import KnownClocks
        from tracer.correlate.clocks.look import look

        if not self.is_repeatable:
            return KnownClocks()
        known, tells_all = look(self._first_batches(_FEW_ROWS), _FEW_ROWS)
        if not tells_all:
            known, _ = look(self._batches_again(), _MANY_ROWS)
        return known

    def _first_batches(self, rows: int) -> list[list[ObservationBatch]]:
        # Of so many rows in all, or more; they are still to be read.
        found = []
        for number, batches in enumerate(self._begun):
            first, left = [], rows // len(self._begun)
            while left > 0 and (batch := next(batches, None)) is not None:
                first.append(batch)
                left -= len(batch)
            self._begun[number] = _handed_on(first[:], batches)
            found.append(first)
        return found

    def _batches_again(self) -> list[Iterator[ObservationBatch]]:
        from tracer.sources.read import Reading

        again, _ = Reading.side_by_side(self._captures, self._points, _MOST_ROWS)
        return [_readable(each) for each in again]

    def _gaps(self, entries: Sequence[ConntrackEntry], clocks: "KnownClocks") -> Sequence[Gap]:
        # A counter at the end of a capture speaks of all windows: where one is not zero, it takes a
        # second reading to know how much is missing in all. Beside a stream each window knows what
        # was said so far.
        from tracer.correlate.windows.stream import judged_gaps

        if not self.is_repeatable:
            return ()
        gaps = [gap for reading in self._readings for gap in reading.gaps()]
        if not gaps:
            return ()
        again = self._batches_again()
        judged = judged_gaps(again, gaps, entries, ahead=ahead, ways=self._ways, clocks=clocks)
        self._ways.is_complete = True
        return judged

    def summary(self, damage: Iterable[InputWarning]) -> dict[str, Any]:
        """Return the summary of all parts as JSON values."""
        from tracer.report.summary import summary_of

        found = [warning for reading in self._readings for warning in reading.warnings]
        whole = JourneySet(ObservationBatch())
        whole.clocks = self._said.clocks
        early = [InputWarning("judged-early", _EARLY, count=n)] if (n := self.judged_early) else []
        whole.warnings = (*self._said.warnings, *self._warnings, *found, *early, *damage)
        said = summary_of(whole if self._redactor is None else self._redactor.journey_set(whole))
        value = self._running.value(self._observations, self._lost(), self._undecoded)
        return value | {
            "shown": self._shown,
            "clocks": said["clocks"],
            "warnings": said["warnings"],
        }

    def _batches(self, reading: "Reading") -> Iterator[ObservationBatch]:
        from tracer.report.summary import decode_counts

        try:
            for batch in reading.batches():
                self._observations += len(batch)
                self._undecoded.update(decode_counts(batch))
                yield batch
        except InputError as error:  # one of many: it is among the reading's warnings
            self._refusals.append(error)

    def _lost(self) -> dict[str, int]:
        lost: Counter[str] = Counter()
        for reading in self._readings:
            lost.update(losses(reading))
        return dict(+lost)


def _readable(reading: "Reading") -> Iterator[ObservationBatch]:
    with contextlib.suppress(InputError):  # told when it is read for its journeys
        yield from reading.batches()


def is_file(output: str | None) -> bool:
    """Return whether output goes to a file, which can be written again."""
    return output not in (None, "-") and Path(str(output)).is_file()


def write_parts(parts: Iterator[JourneySet], format_: str, output: str | None) -> None:
    """Write journeys that come in parts to a file or standard output, as they come."""
    coming = ahead(parts)
    # Before a file is overwritten for nothing. An empty part stands for none, so that a table has
    # its columns.
    first = [next(coming, JourneySet(ObservationBatch()))]
    write = _writer(format_, output)  # loaded now, it does not keep the first part waiting
    with destination(output) as file:
        write(_handed_on(first, coming), file)


def _writer(format_: str, output: str | None) -> Callable[[Iterator[JourneySet], IO[bytes]], None]:
    if format_ == "text":
        from tracer.report.text import text_of

        width, coloured = terminal_width(output), is_coloured(output)

        def write(parts: Iterator[JourneySet], file: IO[bytes]) -> None:
            for part in parts:
                write_text(text_of(part, width), file, coloured=coloured)

    elif format_ == "jsonl":
        from tracer.report.jsonl import journey_lines

        def write(parts: Iterator[JourneySet], file: IO[bytes]) -> None:
            for part in parts:
                write_lines(journey_lines(part), file)

    else:
        from tracer.report.change_text import ChangeTexts
        from tracer.report.tables import hop_tables

        def _tables(parts: Iterator[JourneySet]) -> Iterator["Table"]:
            texts = ChangeTexts()
            for part in parts:
                yield from hop_tables(part, texts=texts)
                del part

        def write(parts: Iterator[JourneySet], file: IO[bytes]) -> None:
            # Joining takes longest: what it waits for a CPU, all wait for.
            write_table(ahead(_tables(parts), nice=_GIVES_WAY), format_, file)

    return write


def _handed_on(first: list[T], rest: Iterator[T]) -> Iterator[T]:
    # The first ones are not held longer than others: a part is as large as a window.
    first.reverse()
    while first:
        yield first.pop()
    yield from rest
