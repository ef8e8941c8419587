"""The newest exchanges, kept for the list of the live view in bounded memory."""

import itertools
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.cli.view.condition import Condition
from tracer.core.exchanges import exchange_order
from tracer.core.journeys import JourneySet

MOST_EXCHANGES, MOST_HOPS = 5_000, 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """One exchange of a set: its journeys' indices; `serial` counts all that ever came, from 0."""

    serial: int
    part: JourneySet
    members: NDArray[np.integer[Any]]


class Kept:
    """The newest exchanges, those that a condition holds for apart.

    Sets are forgotten as a whole where their hops are too many, so the newest set is always there.
    """

    def __init__(self, exchanges: int = MOST_EXCHANGES, hops: int = MOST_HOPS) -> None:
        self.most_exchanges, self.most_hops = exchanges, hops
        self._items: list[Exchange] = []
        self._matching: list[Exchange] = []
        self._parts: deque[tuple[JourneySet, int]] = deque()  # with the serial behind their last
        self._hops = 0
        self.total = 0
        self.condition = Condition()

    def add(self, part: JourneySet) -> None:
        """Keep a set's exchanges; the oldest go where there are too many."""
        exchanges = exchange_order(part)
        items = [Exchange(self.total + n, part, each) for n, each in enumerate(exchanges)]
        self.total += len(items)
        self._items += items
        self._matching += itertools.compress(items, self.condition.matching(part, exchanges))
        if self._parts and len(self._parts[-1][0].flows) <= len(part.flows):
            # Flow numbers last, so the newest table serves all sets; each would hold its own.
            for older, _ in self._parts:
                older.flows = part.flows
        self._parts.append((part, self.total))
        self._hops += len(part.hops)
        self._forget()

    def choose(self, condition: Condition) -> None:
        """Show only exchanges that a condition holds for, of those kept and from now on."""
        matching: list[Exchange] = []
        for part, items in grouped(self._items):
            held = condition.matching(part, [item.members for item in items])
            matching += itertools.compress(items, held)
        self.condition, self._matching = condition, matching

    @property
    def matching(self) -> list[Exchange]:
        """The exchanges that the condition holds for, oldest first; a list of its own."""
        return self._matching.copy()

    def __len__(self) -> int:
        return len(self._items)

    def _forget(self) -> None:
        oldest = self.total - min(len(self._items), self.most_exchanges)
        while self._parts and (
            self._parts[0][1] <= oldest or (self._hops > self.most_hops and len(self._parts) > 1)
        ):
            part, end = self._parts.popleft()
            self._hops -= len(part.hops)
            oldest = max(oldest, end)
        for items in (self._items, self._matching):
            del items[: bisect_left(items, oldest, key=lambda item: item.serial)]


def grouped(exchanges: list[Exchange]) -> list[tuple[JourneySet, list[Exchange]]]:
    """Return exchanges (in order of their serials) by the set they are of."""
    groups = itertools.groupby(exchanges, key=lambda item: id(item.part))
    lists = (list(items) for _, items in groups)
    return [(items[0].part, items) for items in lists]
