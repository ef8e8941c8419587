"""What happens between two observation points: steps of journeys, and packets that are lost there.

A lost packet was on its way to where others of its flow went on that came the same way: the one
before and the one after it, if to the same point, for captures begin and end, and ways change; else
most of them; else most of all that came the same way; else most of all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import LOST, Event, Outcome
from tracer.core.journeys import EVENT_DTYPE, JourneySet
from tracer.core.lost_parts import NOWHERE, Losses, losses_of, repeated
from tracer.core.records import joined
from tracer.core.rows import Rows
from tracer.core.schema import StructuredArray
from tracer.core.ways import ways_of

_LONGEST = 1 << 20  # bytes of a super-packet (BIG TCP has half of it); who renumbers adds more


@dataclass(slots=True)
class Steps:
    """Steps from hop to hop, (steps,) each: indices of both `hops` and the points they lie at."""

    before: Rows
    after: Rows
    from_point: Rows
    to_point: Rows


def steps_of(journey_set: JourneySet) -> Steps:
    """Return the steps between hops whose points are known.

    From one part of a packet (a segment, a fragment) to the next one there is no step.
    """
    hops = journey_set.hops
    point = journey_set.observations.packets["point"][hops["row"]].astype(np.int64)
    after = np.flatnonzero(hops["parent"] > 0)
    before = _parents(journey_set, after)
    known = (point[before] >= 0) & (point[after] >= 0)
    known[known] = ~_are_parts(journey_set, point, before[known], after[known])
    before, after = before[known], after[known]
    return Steps(before, after, point[before], point[after])


def _are_parts(journey_set: JourneySet, point: Rows, before: Rows, after: Rows) -> Any:
    # Which hops have other bytes than the one before: of a packet that is several segments. At one
    # point other numbers tell, too, which forwarding would not change.
    packets, rows = journey_set.observations.packets, journey_set.hops["row"]
    found = point[before] == point[after]
    at = np.flatnonzero(found)
    one, other = packets[rows[before[at]]], packets[rows[after[at]]]
    differ = np.zeros(len(at), np.bool_)
    for name in ("tcp_seq", "frag_offset", "payload_len", "ip_id"):
        differ |= one[name] != other[name]
    found[at] = differ & (one["ttl"] == other["ttl"])
    seq, size = (packets[name][rows] for name in ("tcp_seq", "payload_len"))
    ahead = (seq[after].astype(np.int64) - seq[before] + (1 << 31)) % (1 << 32) - (1 << 31)
    apart = (ahead >= size[before]) | (-ahead >= size[after])
    apart &= (size[before] > 0) & (size[after] > 0) & (np.abs(ahead) < _LONGEST)
    return found | (apart & (seq[before] >= 0) & (seq[after] >= 0))


def segment_events(journey_set: JourneySet) -> StructuredArray:
    """Return what happened to journeys between points, EVENT_DTYPE, by journey and event.

    Each lost or missed journey has one such event (of a TCP packet that was several segments there,
    each that went no further); one that repeats lost bytes has one where these were lost; one that
    was overtaken has one for each segment where it was.
    """
    if journey_set.events is not None:
        return journey_set.events
    steps, losses = steps_of(journey_set), _losses(journey_set)
    ended = _ended(journey_set, steps, losses)
    resent, overtaken = _resent(journey_set, ended, losses), _overtaken(journey_set, steps)
    ended = ended.take(np.repeat(np.arange(len(ended)), losses.packets))
    events = joined([ended, resent, overtaken], EVENT_DTYPE)
    return events.take(np.lexsort((events["event"], events["journey"])))


def last_at(journey_set: JourneySet) -> Rows:
    """Return the last hop of each journey at the point where it ended, an index of `hops`."""
    journeys, hops = journey_set.journeys, journey_set.hops
    point = journey_set.observations.packets["point"]
    last: Rows = journeys["first_hop"].astype(np.int64) + journeys["n_hops"] - 1
    other = np.flatnonzero(
        (journeys["outcome_point"] >= 0)
        & (journeys["n_hops"] > 0)
        & (point[hops["row"][last]] != journeys["outcome_point"])
    )
    if len(other):
        is_other = np.zeros(len(journeys), np.bool_)
        is_other[other] = True
        mine = np.flatnonzero(is_other[hops["journey"]])
        journey = hops["journey"][mine]
        there = point[hops["row"][mine]] == journeys["outcome_point"][journey]
        last[other] = -1
        np.maximum.at(last, journey[there], mine[there])
        last = np.where(last < 0, journeys["first_hop"] + journeys["n_hops"] - 1, last)
    return last


def _parents(journey_set: JourneySet, hops: Rows) -> Rows:
    records = journey_set.hops[hops]
    first = journey_set.journeys["first_hop"][records["journey"]]
    parents: Rows = np.where(records["parent"] > 0, first + records["parent"] - 1, NOWHERE)
    return parents


def _losses(journey_set: JourneySet) -> Losses:
    # Of journeys that are lost or missed.
    journeys = journey_set.journeys
    ended = np.isin(journeys["outcome"], (*LOST, Outcome.LOST_BY_TRACER))
    ends = np.flatnonzero(ended & (journeys["n_hops"] > 0))
    return losses_of(journey_set, ends, last_at(journey_set)[ends])


def _ended(journey_set: JourneySet, steps: Steps, losses: Losses) -> StructuredArray:
    # An event for each loss: from where it ended to where others went on.
    journeys = journey_set.journeys
    ends, last = losses.journey, losses.hop
    missed = journeys["outcome"][ends] == Outcome.LOST_BY_TRACER
    events = np.empty(len(ends), EVENT_DTYPE)
    events["journey"] = ends
    events["event"] = np.where(missed, Event.MISSED, Event.LOST)
    point = journey_set.observations.packets["point"]
    origin = point[journey_set.hops["row"][last]].astype(np.int64)
    came = _came_from(journey_set, last)
    flow = journeys["flow"][ends].astype(np.int64)
    events["from_point"], events["to_point"] = origin, NOWHERE
    # A router with one device sends what it forwards out by the device it came in by.
    moved = steps.from_point != steps.to_point
    stays = np.flatnonzero(~moved)
    rows, ttl = journey_set.hops["row"], journey_set.observations.packets["ttl"]
    moved[stays] = ttl[rows[steps.before[stays]]] > ttl[rows[steps.after[stays]]]
    moved &= np.isin(steps.from_point, origin)
    at = np.flatnonzero(moved)
    ways = (
        journeys["flow"][journey_set.hops["journey"][steps.before[at]]].astype(np.int64),
        _came_from(journey_set, steps.before[at]),
        steps.from_point[at],
    )
    left = journey_set.hops["time_ns"]
    events["to_point"] = _beside(
        np.stack(ways), steps.to_point[at], left[steps.before[at]], np.stack((flow, came, origin)),
        left[last],
    )  # fmt: skip
    for kept in range(3):
        open_ = np.flatnonzero(events["to_point"] == NOWHERE)
        wanted = np.stack([part[open_] for part in (flow, came, origin)[kept:]])
        events["to_point"][open_] = _usual(np.stack(ways[kept:]), steps.to_point[at], wanted)
    return events


def _came_from(journey_set: JourneySet, hops: Rows) -> Rows:
    # The point of the hop before each, -1 for a first one.
    parents = _parents(journey_set, hops)
    rows = journey_set.hops["row"][parents]
    points = journey_set.observations.packets["point"][rows].astype(np.int64)
    return np.where(parents >= 0, points, NOWHERE)


def _usual(keys: NDArray[np.int64], targets: Rows, wanted: NDArray[np.int64]) -> Rows:
    # For each wanted key (a column) the target most seen with it, -1 for none.
    codes = _codes(np.concatenate([keys, wanted], axis=1))
    width = int(targets.max(initial=NOWHERE)) + 1
    pairs, votes = np.unique(codes[: len(targets)] * width + targets, return_counts=True)
    usual = np.full(int(codes.max(initial=NOWHERE)) + 1, NOWHERE)
    rare_first = pairs[np.argsort(votes, kind="stable")]
    usual[rare_first // max(width, 1)] = rare_first % max(width, 1)
    found: Rows = usual[codes[len(targets) :]]
    return found


def _beside(
    keys: NDArray[np.int64], targets: Rows, left: Rows, wanted: NDArray[np.int64], wanted_ns: Rows
) -> Rows:
    # For each wanted key and time the target of the one with that key that left before it, and of
    # the one after it (or of the only one of these); -1 where there is none, or these are two.
    count, total = len(targets), len(targets) + len(wanted_ns)
    codes = _codes(np.concatenate([keys, wanted], axis=1))
    order = np.lexsort((np.concatenate([left, wanted_ns]), codes))
    place = np.arange(total)
    is_step = order < count
    before = np.maximum.accumulate(np.where(is_step, place, -1))
    after = np.minimum.accumulate(np.where(is_step, place, total)[::-1])[::-1]
    ends = []
    for near in (before, after):
        there = order[np.clip(near, 0, max(total - 1, 0))]
        same = (near >= 0) & (near < total) & (codes[there] == codes[order])
        ends.append(np.where(same, np.append(targets, NOWHERE)[np.minimum(there, count)], NOWHERE))
    agreed = np.where(ends[0] == NOWHERE, ends[1], ends[0])
    agreed[(ends[1] != NOWHERE) & (ends[1] != agreed)] = NOWHERE
    found = np.empty(total, np.int64)
    found[order] = agreed
    return found[count:]


def _codes(keys: NDArray[np.int64]) -> Rows:
    # One number for each distinct column.
    codes = np.zeros(len(keys.T), np.int64)
    for row in keys:
        distinct, values = np.unique(row, return_inverse=True)
        codes = np.unique(codes * len(distinct) + values, return_inverse=True)[1]
    return codes


def _resent(journey_set: JourneySet, ended: StructuredArray, losses: Losses) -> StructuredArray:
    again = np.flatnonzero(journey_set.journeys["retransmission_of"] >= 0)
    at = repeated(journey_set, losses, again)
    kept = (at >= 0) & (np.append(ended["event"], -1)[at] == Event.LOST)
    events: StructuredArray = ended.take(at[kept])
    events["journey"], events["event"] = again[kept], Event.RESENT
    return events


def _overtaken(journey_set: JourneySet, steps: Steps) -> StructuredArray:
    # In the order of arrival: who left before one that is there already (RFC 4737, section 3). Of
    # packets alike nobody knows which of them it was.
    hops, journeys = journey_set.hops, journey_set.journeys
    journey = hops["journey"][steps.after]
    left, arrived = hops["time_ns"][steps.before], hops["time_ns"][steps.after]
    width = len(journey_set.observations.points) + 1
    pair = steps.from_point * width + steps.to_point
    stream = journeys["flow"].astype(np.int64) * 4 + ways_of(journey_set) + 1
    timed = (journeys["flow"][journey] >= 0) & (left >= 0) & (arrived >= 0)
    timed &= journeys["ambiguous"][journey] == 0
    at = np.flatnonzero(timed)
    at = at[np.lexsort((left[at], arrived[at], pair[at], stream[journey[at]]))]
    new = np.ones(len(at), np.bool_)
    new[1:] = (np.diff(stream[journey[at]]) != 0) | (np.diff(pair[at]) != 0)
    group: Rows = np.cumsum(new)
    late = at[_behind(group, left[at])]
    events = np.empty(len(late), EVENT_DTYPE)
    events["journey"], events["event"] = journey[late], Event.OVERTAKEN
    events["from_point"], events["to_point"] = steps.from_point[late], steps.to_point[late]
    return events


def _behind(group: Rows, values: Rows) -> NDArray[np.bool_]:
    # Whether a greater value came before it in its group. Groups are numbered upwards: with ranks
    # instead of values, above those of the group before, one running maximum serves all. Equal
    # values have one rank: none of them was overtaken.
    order = np.lexsort((values, group))
    new = np.ones(len(values), np.bool_)
    new[1:] = (np.diff(values[order]) != 0) | (np.diff(group[order]) != 0)
    rank = np.empty(len(values), np.int64)
    rank[order] = np.cumsum(new)
    behind: NDArray[np.bool_] = rank < np.maximum.accumulate(rank)
    return behind
