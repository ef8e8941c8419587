"""In which zone a conntrack dump printed its entries' times, told by the packets that made them.

`conntrack -L -o ktimestamp` prints local time and no zone. An entry is made by the first packet of
its flow: where entries of a host and the beginnings of their flows in its captures are one number
of quarters of an hour apart, that is the zone. Where they do not say, the times stay unused.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.utc_offset import utc_offset
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.nat.tuples import of_tuples

SILENCE_NS = 10_000_000_000  # a packet of its flow after that long may have made an entry
FEW = 3  # of more entries one may fit a zone by chance: those that were there before the captures
NEAR_NS = 3_000_000_000  # how far a stamp, of whole seconds, and the packet may be apart


def in_utc(
    conntrack: Sequence[ConntrackEntry], flow: Keys, batch: ObservationBatch
) -> list[ConntrackEntry]:
    """Return the entries with local times in UTC where packets tell the zone; `flow` by row."""
    local: dict[str | None, list[ConntrackEntry]] = defaultdict(list)
    for entry in conntrack:
        if entry.is_local and _made_ns(entry) is not None:
            local[entry.host].append(entry)
    offsets = {host: _offset(entries, host, flow, batch) for host, entries in local.items()}
    known = {host: offset for host, offset in offsets.items() if offset is not None}
    return [
        entry.shifted(known[entry.host]) if entry.is_local and entry.host in known else entry
        for entry in conntrack
    ]


def _made_ns(entry: ConntrackEntry) -> int | None:
    if entry.start_ns is not None:
        return entry.start_ns
    return entry.time_ns if entry.event == "NEW" else None


# The zone that most of the entries whose flows begin somewhere agree on.
def _offset(
    entries: list[ConntrackEntry], host: str | None, flow: Keys, batch: ObservationBatch
) -> int | None:
    before = of_tuples([entry.original for entry in entries])
    after = of_tuples([entry.reply.reversed() for entry in entries])
    tuples, stamps = _beginnings(np.concatenate([before, after]), host, flow, batch)
    votes: Counter[int] = Counter()
    voters = 0
    pairs = np.stack([before, after], axis=1)
    first, last = (np.searchsorted(tuples, pairs, side) for side in ("left", "right"))
    present = np.flatnonzero((first < last).any(axis=1))
    for i in present.tolist():
        made_ns = _made_ns(entries[i]) or 0
        begun = np.concatenate([stamps[a:b] for a, b in zip(first[i], last[i], strict=True)])
        found = {utc_offset(made_ns, stamp, NEAR_NS) for stamp in begun.tolist()}
        votes.update(offset for offset in found if offset is not None)
        voters += found != {None}
    best = votes.most_common(2)
    if not best or 2 * best[0][1] <= voters or (len(best) > 1 and best[1][1] == best[0][1]):
        return None
    return best[0][0] if best[0][1] > 1 or len(present) <= FEW else None


# The stamps of packets that came after a silence of their tuple, by tuple; of the host's captures
# where there are any, for those have its clock.
def _beginnings(
    wanted: Keys, host: str | None, flow: Keys, batch: ObservationBatch
) -> tuple[Keys, Codes]:
    there = np.array([point.host == host for point in batch.points] + [False])
    rows = np.flatnonzero(np.isin(flow, wanted))
    mine = rows[there[batch.packets["point"][rows]]]
    rows = mine if host and len(mine) else rows
    stamps = batch.packets["time_ns"][rows].astype(np.int64)
    order = np.lexsort((stamps, flow[rows]))
    tuples, stamps = flow[rows][order], stamps[order]
    new = np.r_[True, (np.diff(tuples) != 0) | (np.diff(stamps) > SILENCE_NS)][: len(tuples)]
    return tuples[new], stamps[new]
