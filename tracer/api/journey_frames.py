"""What `tracer.read` gives: observations, journeys, hops and flows as DataFrames."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd

from tracer.api.arguments import path_name, whole
from tracer.api.columns import documented
from tracer.api.conditions import Conditions, flow_filter, words_of
from tracer.core.batch import ObservationBatch
from tracer.core.errors import InputError
from tracer.core.journey import Journey
from tracer.core.journeys import JourneySet
from tracer.core.rows import Rows
from tracer.core.values import hop_indices, journeys_of
from tracer.core.warnings import InputWarning, merge

_LEAST = -(1 << 63)  # of a number that may be none of those there are
_AT_ONCE = 256  # journeys made into values together
Choose = Callable[[JourneySet], Rows]


class JourneyFrames:
    """Journeys and what they are made of, as DataFrames that are built when first used.

    `tracer.read` makes one; a filter (`select`, or the keywords of `read`) makes a smaller one
    whose numbers are the same. Iterating gives `Journey` values, `len` says how many there are;
    `inputs` are the paths that were read, `filter_words` says the filter.

    Unknown is `<NA>`, `NaT` or `NaN`, never zero. Names, addresses and words are categories (group
    by them with `observed=True`), times are UTC (`datetime64[ns, UTC]`), durations
    `timedelta64[ns]`.
    """

    def __init__(
        self,
        batch: ObservationBatch,
        join: Callable[[], JourneySet],
        choose: Choose | None = None,
        *,
        inputs: Sequence[str] = (),
        filter_words: str = "",
    ) -> None:
        self._batch = batch
        self._join = join
        self._choose = choose
        self.inputs = tuple(inputs)
        self.filter_words = filter_words

    @classmethod
    def of(cls, journey_set: JourneySet) -> "JourneyFrames":
        """Return the frames of a journey set, as `tracer.correlate` makes it."""
        return cls(journey_set.observations, lambda: journey_set)

    @cached_property
    def journey_set(self) -> JourneySet:
        """The columns beneath: everything that was read, whether selected or not."""
        return self._join()

    @cached_property
    def numbers(self) -> Rows:
        """Indices of the selected journeys in `journey_set.journeys`, ascending, shape (n,)."""
        if self._choose is not None:
            return self._choose(self.journey_set)
        return np.arange(len(self.journey_set.journeys))

    @cached_property
    @documented("observations")
    def observations(self) -> pd.DataFrame:
        """Every packet at every observation point, a row each; of a selection its hops' packets.

        The index `observation` is what `hops.observation` refers to. `time` is the stamp as taken;
        `hops.time` has the clock's offset applied.
        """
        from tracer.api.frames import observations_frame

        if self._choose is None:
            return observations_frame(self._batch, np.arange(len(self._batch)))
        return observations_frame(self._batch, np.unique(self._hop_rows()))

    @cached_property
    @documented("journeys")
    def journeys(self) -> pd.DataFrame:
        """Every packet's journey, a row each, in the order of their numbers."""
        from tracer.api.frames import journeys_frame

        return journeys_frame(self.journey_set, self.numbers)

    @cached_property
    @documented("hops")
    def hops(self) -> pd.DataFrame:
        """Every hop of every journey, a row each, by journey and place in it.

        After the step's own columns come those of its observation.
        """
        from tracer.api.frames import hops_frame

        return hops_frame(self.journey_set, self.numbers)

    @cached_property
    @documented("changes")
    def changes(self) -> pd.DataFrame:
        """Every field that changed between a hop and the one before, a row each.

        What NAT did is `changes.query("cause in ['snat', 'dnat']")`.
        """
        from tracer.api.frames import changes_frame

        return changes_frame(self.journey_set, self.numbers)

    @cached_property
    @documented("flows")
    def flows(self) -> pd.DataFrame:
        """Every flow (both directions of a five-tuple and its translations), a row each."""
        from tracer.api.flows import flows_frame

        return flows_frame(self.journey_set, self.numbers)

    @cached_property
    @documented("segments")
    def segments(self) -> pd.DataFrame:
        """Every segment of every flow: the way from one point to the next, a row each.

        A packet sent again is counted where the bytes that it repeats were lost; `flows` counts
        those too whose first copy had arrived.
        """
        from tracer.api.flows import segments_frame

        return segments_frame(self.journey_set, self.numbers)

    @cached_property
    @documented("flow_paths")
    def flow_paths(self) -> pd.DataFrame:
        """Paths of flows from captures that share no packet, a row a capture; else empty.

        Not narrowed by a selection.
        """
        from tracer.api.flows import flow_paths_frame

        return flow_paths_frame(self.journey_set)

    @cached_property
    @documented("clocks")
    def clocks(self) -> pd.DataFrame:
        """Every clock, what was added to its stamps and how far that is to be trusted."""
        from tracer.api.flows import clocks_frame

        return clocks_frame(self.journey_set)

    @documented("path")
    def path(self, flow: int | None = None) -> pd.DataFrame:
        """Return the observation points of a flow (of all by default) in travel order, both ways.

        Loss and times are those of the step into and out of each point. Raises KeyError when no
        selected journey belongs to the flow.
        """
        from tracer.api.flows import path_frame

        chosen = None if flow is None else whole(flow, "flow", _LEAST)
        of_flow = self.journey_set.journeys["flow"][self.numbers]
        if chosen is not None and not (of_flow == chosen - 1).any():
            raise KeyError(flow)
        return path_frame(self.journey_set, self.numbers, chosen)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Counts, clocks, losses and warnings, as `--summary` writes them."""
        from tracer.report.summary import summary_of

        return summary_of(self.journey_set, len(self.numbers))

    @cached_property
    def warnings(self) -> tuple[InputWarning, ...]:
        """What was wrong with the inputs, once a kind and capture; what preceded it was read."""
        return tuple(merge(self.journey_set.warnings))

    def select(self, **conditions: Unpack[Conditions]) -> "JourneyFrames":
        """Return the exchanges with a hop that meets all conditions, on either side of NAT.

        They are those of the commands: `icmp_id`, `proto`, `host`, `src`, `dst`, `port`, `sport`,
        `dport`; several addresses or ports are alternatives.
        """
        chosen = flow_filter(conditions)
        if chosen.is_empty:
            return self

        def choose(journey_set: JourneySet) -> Rows:
            from tracer.correlate.select import select

            return np.intersect1d(self.numbers, select(journey_set, chosen))

        words = ", ".join(word for word in (self.filter_words, words_of(chosen)) if word)
        return JourneyFrames(
            self._batch, lambda: self.journey_set, choose, inputs=self.inputs, filter_words=words
        )

    def journey(self, number: int) -> Journey:
        """Return one journey with its hops as values; raises KeyError for no such number."""
        index = whole(number, "number", _LEAST) - self.journey_set.first_journey
        if not 0 <= index < len(self.journey_set.journeys):
            raise KeyError(number)
        return journeys_of(self.journey_set, [index])[0]

    def text(self, width: int = 120) -> str:
        """Return the journeys as the commands show them, a line a hop, at most `width` (40 or more)
        wide.
        """
        from tracer.report.text import text_of

        lines = text_of(self.journey_set, whole(width, "width", 40), self.numbers)
        return "\n".join(line.plain for line in lines).rstrip("\n") + "\n"

    def report(
        self,
        path: str | PathLike[str],
        title: str | None = None,
        before: "JourneyFrames | None" = None,
    ) -> Path:
        """Write the selected journeys as one HTML file that needs no network, and return its path.

        `before` is another situation to compare with. Raises InputError when the file cannot be
        written.
        """
        from tracer.api.report import write_report

        if before is not None and not isinstance(before, JourneyFrames):
            raise InputError(f"before is {before!r}.", "Give what `tracer.read` returned.")
        return write_report(self, Path(path_name(path, "path")), title, before)

    def __iter__(self) -> Iterator[Journey]:
        for start in range(0, len(self.numbers), _AT_ONCE):
            yield from journeys_of(self.journey_set, self.numbers[start : start + _AT_ONCE])

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        counts = f"{len(self._batch)} observations"
        if "journey_set" in self.__dict__:
            found = self.summary
            outcomes = ", ".join(f"{count} {word}" for word, count in found["outcomes"].items())
            counts += f", {found['journeys']} journeys ({outcomes}), {found['flows']} flows"
            counts += f", {found['shown']} selected" if self._choose else ""
            counts += f", {len(self.warnings)} warnings" if self.warnings else ""
        return f"<JourneyFrames: {counts}>"

    def _hop_rows(self) -> Rows:
        journeys = self.journey_set.journeys[self.numbers]
        rows: Rows = self.journey_set.hops["row"][hop_indices(journeys)]
        return rows
