"""The summary of a run whose journeys come in parts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet
from tracer.report.summary import summary_of

_ADDED = ("journeys", "unjoined", "ambiguous", "undecoded", "hops", "duplicates", "exchanges")


class RunningSummary:
    """Adds up the summaries of parts; `value` is the summary of them all."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._undecoded: Counter[str] = Counter()
        self._flows = 0

    def add(self, part: JourneySet) -> None:
        """Count a part."""
        found = summary_of(part)
        self._counts.update({name: found[name] for name in _ADDED})
        self._outcomes.update(found["outcomes"])
        self._undecoded.update(found["undecoded_by"])
        self._flows = max(self._flows, found["flows"])

    def counted(self, parts: Iterable[JourneySet]) -> Iterator[JourneySet]:
        """Yield the parts, each counted."""
        for part in parts:
            self.add(part)
            yield part

    def value(
        self, observations: int, lost: dict[str, int], undecoded: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Return the summary as JSON values; `observations` counts what no journey holds, too.

        `undecoded` are the counts of all observations, where they are known apart from the parts.
        """
        if undecoded is not None:
            self._undecoded = Counter(undecoded)
            self._counts["undecoded"] = self._undecoded.total()
        empty = summary_of(JourneySet(ObservationBatch()))
        return empty | {name: self._counts[name] for name in _ADDED} | {
            "observations": observations,
            "shown": self._counts["journeys"],
            "flows": self._flows,
            "outcomes": dict(self._outcomes),
            "undecoded_by": dict(self._undecoded),
            "lost": dict(lost),
        }  # fmt: skip
