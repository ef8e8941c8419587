"""What conntrack proves, and when: tuples that are one flow before and after a translation.

Where entries' times are known a tuple has eras, cut wherever an entry with it begins or ends. An
era's rows are of one flow, and a proof is of eras; clocks of the log and of the captures may differ
by a margin, within which nothing is proven.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.conntrack.entry_times import (
    ALWAYS,
    REPORT_NS,
    Lifetime,
    lifetimes_of,
    names_of,
)
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.nat.streams import named
from tracer.correlate.nat.tuples import of_tuples, shown, unordered


@dataclass(slots=True)
class Cuts:
    """Where the eras of some tuples end: `tuples` ascending, each with times from its start on."""

    tuples: Keys
    starts: Codes
    times: Codes

    @classmethod
    def at(cls, tuples: Keys, times: Codes) -> "Cuts":
        """Return the cuts given by a tuple and a time each, in any order."""
        order = np.lexsort((times, tuples))
        tuples, times = tuples[order], times[order]
        new = np.r_[True, (np.diff(tuples) != 0) | (np.diff(times) != 0)][: len(tuples)]
        known, starts = np.unique(tuples[new], return_index=True)
        return cls(known, np.append(starts, new.sum()).astype(np.int64), times[new])

    def era(self, flow: Keys, time: Codes) -> Codes:
        """Return the era of each tuple at a time, from 1 on; 0 for tuples that have none."""
        era = np.zeros(len(flow), np.int64)
        if not len(self.tuples):
            return era
        place = np.minimum(np.searchsorted(self.tuples, flow), len(self.tuples) - 1)
        there = np.flatnonzero(self.tuples[place] == flow)
        # Cuts and rows by tuple and time: a row has passed the cuts before it.
        owner = np.repeat(np.arange(len(self.tuples)), np.diff(self.starts))
        owners = np.concatenate([owner, place[there]])
        is_row = np.arange(len(owners)) >= len(owner)
        order = np.lexsort((is_row, np.concatenate([self.times, time[there]]), owners))
        passed = np.empty(len(owners), np.int64)
        passed[order] = np.cumsum(~is_row[order])
        era[there] = 1 + passed[len(owner) :] - self.starts[place[there]]
        return era

    def between(self, tuple_hash: np.uint64, since: int, until: int) -> Codes:
        """Return the times between two at which an era of the tuple ends."""
        at = int(np.searchsorted(self.tuples, tuple_hash))
        if at == len(self.tuples) or self.tuples[at] != tuple_hash:
            return np.empty(0, np.int64)
        times = self.times[self.starts[at] : self.starts[at + 1]]
        found: Codes = times[(times > since) & (times < until)]
        return found


@dataclass(slots=True)
class Proofs:
    """Pairs of tuple hashes that are one flow, from `since` until `until` (ns, one time scale)."""

    before: Keys
    after: Keys
    since: Codes
    until: Codes
    cuts: Cuts

    def eras(self, flow: Keys, time: Codes) -> Codes:
        """Return the era of each row's tuple, 0 where it has none; no element where none has."""
        return self.cuts.era(flow, time) if len(self.cuts.tuples) else np.empty(0, np.int64)

    def pairs(self) -> tuple[Keys, Keys]:
        """Return (before, after), each in each era in which the pair is proven (`named`)."""
        owner, moments = self._moments()
        before, after = (
            named(hashes[owner], self.eras(hashes[owner], moments))
            for hashes in (self.before, self.after)
        )
        _, first = np.unique(unordered(before, after), return_index=True)
        return before[first], after[first]

    # Of each proof its beginning, and whenever an era of one of its tuples ends before it does.
    def _moments(self) -> tuple[Codes, Codes]:
        owner, moments = [np.arange(len(self.before))], [self.since]
        for hashes in (self.before, self.after):
            changed = self.cuts.era(hashes, self.until - 1) != self.cuts.era(hashes, self.since)
            for i in np.flatnonzero(changed).tolist():
                inside = self.cuts.between(hashes[i], int(self.since[i]), int(self.until[i]))
                owner.append(np.full(len(inside), i))
                moments.append(inside)
        return np.concatenate(owner), np.concatenate(moments)


def proofs_of(
    conntrack: Sequence[ConntrackEntry], batch: ObservationBatch, clocks: Clocks
) -> Proofs:
    """Return what dumps and logs prove, and the entries that the kernel showed with packets."""
    none = np.empty(0, np.uint64), np.empty(0, np.uint64)
    lives = lifetimes_of(conntrack)
    dumped = _both_ways(lives) if lives else none
    live = shown(batch) if len(batch.sections["kernel"]) else none
    since, until = _on_one_scale(lives, batch, clocks)
    before, after = np.concatenate([dumped[0], live[0]]), np.concatenate([dumped[1], live[1]])
    since = np.concatenate([since, since, np.full(len(live[0]), ALWAYS[0])])
    until = np.concatenate([until, until, np.full(len(live[0]), ALWAYS[1])])
    kept = (before != after) & (since < until)
    return Proofs(
        before[kept], after[kept], since[kept], until[kept],
        _cuts(before[kept], after[kept], since[kept], until[kept]),
    )  # fmt: skip


def _both_ways(lives: Sequence[Lifetime]) -> tuple[Keys, Keys]:
    there = [(life.entry.original, life.entry.reply.reversed()) for life in lives]
    pairs = there + [(b.reversed(), a.reversed()) for a, b in there]
    return of_tuples([a for a, _ in pairs]), of_tuples([b for _, b in pairs])


def _cuts(before: Keys, after: Keys, since: Codes, until: Codes) -> Cuts:
    times = np.concatenate([since, until, since, until])
    tuples = np.concatenate([before, before, after, after])
    known = np.abs(times) < ALWAYS[1]
    return Cuts.at(tuples[known], times[known])


# When each entry was surely there, on the scale of the rows' times.
def _on_one_scale(
    lives: Sequence[Lifetime], batch: ObservationBatch, clocks: Clocks
) -> tuple[Codes, Codes]:
    since = np.array([life.since_ns for life in lives], np.int64)
    until = np.array([life.until_ns for life in lives], np.int64)
    limited = np.array([life.is_limited for life in lives], np.bool_)
    hosts = np.array([life.entry.host or "" for life in lives])
    for host in np.unique(hosts[limited]) if limited.any() else ():
        scale = _Scale.of(str(host), batch, clocks)
        mine = np.flatnonzero(limited & (hosts == host))
        begun, ended = mine[since[mine] > ALWAYS[0]], mine[until[mine] < ALWAYS[1]]
        since[begun] = scale.earliest(since[begun]) - REPORT_NS
        until[ended] = scale.latest(until[ended])
    return _without_overlaps(lives, since, until)


@dataclass(slots=True)
class _Scale:
    """Stamps of a log's clock, and what to add to each at least and at most."""

    stamps: Codes
    least: Codes
    most: Codes

    @classmethod
    def of(cls, host: str, batch: ObservationBatch, clocks: Clocks) -> "_Scale":
        """Return how the clock of a host reads, as its captures show; of an unknown one, the range
        that all clocks are in."""
        stamps = batch.packets["time_ns"].astype(np.int64)
        added = clocks.time_ns - stamps
        there = np.array([point.host == host for point in batch.points] + [False])
        rows = np.flatnonzero(there[batch.packets["point"]]) if host else np.empty(0, np.int64)
        if len(rows):
            order = rows[np.argsort(stamps[rows], kind="stable")]
            slack = clocks.slack_ns
            return cls(stamps[order], added[order] - slack, added[order] + slack)
        low, high = int(added.min(initial=0)), int(added.max(initial=0))
        slack = clocks.slack_ns
        return cls(np.zeros(1, np.int64), np.array([low - slack]), np.array([high + slack]))

    def earliest(self, stamps: Codes) -> Codes:
        """Return the earliest times, on the scale of all, that stamps of the log may mean."""
        return stamps + np.interp(stamps, self.stamps, self.least).astype(np.int64)

    def latest(self, stamps: Codes) -> Codes:
        """Return the latest times that they may mean."""
        return stamps + np.interp(stamps, self.stamps, self.most).astype(np.int64)


def _without_overlaps(lives: Sequence[Lifetime], since: Codes, until: Codes) -> tuple[Codes, Codes]:
    # In the margins of two entries that had one tuple after the other it may be either's.
    users: dict[Hashable, list[int]] = {}
    for i, life in enumerate(lives):
        if life.is_limited:
            for name in names_of(life):
                users.setdefault(name, []).append(i)
    first, last = since.copy(), until.copy()
    for mine in users.values():
        mine.sort(key=lambda i: int(since[i]))
        for a, b in pairwise(mine):
            if until[a] > since[b]:
                last[a] = min(last[a], since[b])
                first[b] = max(first[b], until[a])
    return first, last
