"""Lost journeys as the packets they were: one of TCP may be several segments where it was lost."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import JourneySet
from tracer.core.rows import Rows

NOWHERE = -1


@dataclass(slots=True)
class Losses:
    """Each loss: the journey, the hop that nobody shows its bytes beyond, how many packets it was.

    `hop` is an index of `hops`; `record` one of the set's `gone`, -1 where all of it was lost.
    """

    journey: Rows
    hop: Rows
    packets: Rows
    record: Rows


def losses_of(journey_set: JourneySet, ends: Rows, last: Rows) -> Losses:
    """Return the losses of the journeys `ends`, each of which ended at the hop `last`.

    One each, but for packets of which segments were lost in several places, or at one of them in
    several ranges of bytes.
    """
    gone, journeys = journey_set.gone, journey_set.journeys
    place = np.full(len(journeys), NOWHERE)
    place[ends] = np.arange(len(ends))
    record = np.flatnonzero(place[gone["journey"]] != NOWHERE)
    owner = gone["journey"][record].astype(np.int64)
    whole = np.flatnonzero(~np.isin(ends, owner))
    return Losses(
        np.concatenate([ends[whole], owner]),
        np.concatenate([last[whole], journeys["first_hop"][owner] + gone["n"][record] - 1]),
        np.concatenate([_segments(journey_set, ends)[whole], gone["segments"][record]]),
        np.concatenate([np.full(len(whole), NOWHERE), record]),
    )


def _segments(journey_set: JourneySet, ends: Rows) -> Rows:
    # Of how many packets each lost journey consists where it ended: of those among its segments
    # that went no further.
    hops, journeys, packets = (
        journey_set.hops, journey_set.journeys, journey_set.observations.packets,
    )  # fmt: skip
    is_lost = np.zeros(len(journeys), np.bool_)
    is_lost[ends] = True
    mine = np.flatnonzero(is_lost[hops["journey"]])
    records = hops[mine]
    parents = journeys["first_hop"][records["journey"]] + records["parent"] - 1
    leads = np.zeros(len(hops), np.bool_)
    leads[parents[records["parent"] > 0]] = True
    journey, row = records["journey"], records["row"]
    first = hops["row"][journeys["first_hop"][journey]]
    size = packets["payload_len"]
    left = ~leads[mine] & (packets["tcp_seq"][row] >= 0) & (size[row] < size[first])
    left &= packets["point"][row] == journeys["outcome_point"][journey]
    count = np.bincount(journey[left], minlength=len(journeys))[ends]
    return np.maximum(count, 1)


def repeated(journey_set: JourneySet, losses: Losses, again: Rows) -> Rows:
    """Return which loss each journey of `again` repeats the bytes of, an index, -1 for none.

    Those of a packet of which a part was lost repeat it only if they have bytes of that part.
    """
    earlier = journey_set.journeys["retransmission_of"][again].astype(np.int64)
    order = np.argsort(losses.journey, kind="stable")
    first, stop = (
        np.searchsorted(losses.journey[order], earlier, side) for side in ("left", "right")
    )
    count = np.where(earlier >= 0, stop - first, 0)
    which = np.repeat(np.arange(len(again)), count)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    loss = order[np.repeat(first, count) + within]
    fits = (losses.record[loss] == NOWHERE) | _overlap(journey_set, losses, loss, again[which])
    found = np.full(len(again), NOWHERE)
    found[which[fits][::-1]] = loss[fits][::-1]
    return found


def _overlap(journey_set: JourneySet, losses: Losses, loss: Rows, again: Rows) -> NDArray[np.bool_]:
    # Whether the first hop of each journey has bytes that were lost.
    packets, hops = journey_set.observations.packets, journey_set.hops
    gone: Any = journey_set.gone[losses.record[loss]] if len(journey_set.gone) else None
    if gone is None or not len(loss):
        return np.zeros(len(loss), np.bool_)
    row = hops["row"][losses.hop[loss]]
    other = hops["row"][journey_set.journeys["first_hop"][again]]
    begin = packets["tcp_seq"][row] + gone["begin"]
    ahead = (packets["tcp_seq"][other] - begin + (1 << 31)) % (1 << 32) - (1 << 31)
    found: NDArray[np.bool_] = (ahead < gone["bytes"]) & (ahead + packets["payload_len"][other] > 0)
    return found
