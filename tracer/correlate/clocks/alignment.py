"""Clocks: which captures share one, and what the others are off by.

Stamps are believed until packets contradict them: one that arrives before it left, by the stamps.
Then the minimum delays each way bound the offset (as NTP does), with drift and steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import UNTIMED, ClockEstimate
from tracer.core.point import Point
from tracer.correlate.clocks.agreement import BELIEFS, FAR_NS, SLIGHTLY_NS, agreeing, contradicting
from tracer.correlate.clocks.arp import asked_again
from tracer.correlate.clocks.believed import believed_to
from tracer.correlate.clocks.fit import Delays, Fit, fit
from tracer.correlate.clocks.known import KnownClocks, scale_name, shifts
from tracer.correlate.clocks.one_sided import Sides, sides_of
from tracer.correlate.clocks.samples import (
    Samples,
    samples_of,
    scales_of,
    sign_far,
    with_level,
)
from tracer.correlate.hashing import Codes, factorise, find_root, pair_keys, roots
from tracer.correlate.packets.echoed import groups_of
from tracer.correlate.packets.identity import Identity, identify

Times = NDArray[np.int64]
LEAST_DELAY_NS = 50_000_000  # of one way
MOST_LATE_NS = 20_000_000  # of a copy in a queue
Fits = tuple[dict[int, Fit], dict[int, int], NDArray[np.float64]]
FEW = 0.0005  # of the packets that compare clocks
LESS = 0.5
NEARLY_ALL = 0.99


@dataclass(slots=True)
class Clocks:
    """`time_ns` of every row on one scale, the `estimates`, and `slack_ns`, how far it may err.

    `apart`: a number of each row; those of rows whose clocks no packet compares differ. It has no
    element where all are compared. `reference`: the clock whose scale it is; `added_ns`: what was
    added to the last stamps of the clocks that packets showed to be off. `choices`: how many
    packets of another clock each ARP row may be, where no offset stands out, else 0; no element
    where none is in doubt. `scale` names one for each row, and has no element where all rows are of
    one: `loose_ns`, of scales, is how far it may be off the one with most rows, infinite where
    packets do not say it. `sides`, of scales: what is open of clocks that packets compare one way
    only, None where nothing that matters is. `bound`: names of clocks, those together that packets
    bound from both sides. `early_ns`: what was added to coarse stamps (`resolution`), by row; no
    element where all resolve alike.
    """

    time_ns: Times
    estimates: tuple[ClockEstimate, ...]
    slack_ns: int
    apart: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    choices: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    reference: str | None = None
    added_ns: dict[str, int] = field(default_factory=dict)
    sides: Sides | None = None
    scale: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    bound: list[tuple[str, ...]] = field(default_factory=list)
    early_ns: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    loose_ns: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def shown_ns(self) -> Times:
        """Return `time_ns` as the stamps have it, without what resolution adds."""
        return self.time_ns - self.early_ns if len(self.early_ns) else self.time_ns

    @property
    def joining_ns(self) -> Times:
        """Return times by which packets are joined: where one way only was seen, and equal packets
        seem to take as long as those that compare clocks, the quickest take no time at all."""
        if self.sides is None:
            return self.time_ns
        return self.time_ns - self.sides.moved_ns[self.scale]


def align(
    batch: ObservationBatch,
    identity: Identity,
    groups: tuple[Codes, Codes],
    known: KnownClocks | None = None,
) -> Clocks:
    """Return all stamps on the scale of the clock with most rows, or of the known reference.

    Clocks that are known to be off are compared all the same; what is known holds where packets do
    not bound it. Rows without a stamp (-1) keep none, and say nothing of clocks.
    """
    timed = identity.stamp != UNTIMED
    if timed.all():
        return _aligned(batch, identity, groups, known)
    rows = np.flatnonzero(timed)
    part = batch.take(rows)
    own = identify(part)
    found = _aligned(part, own, groups_of(part.packets, own), known)
    time = identity.stamp.copy()
    time[rows] = found.time_ns
    shown = {scale_name(batch.points[code]) for code in np.unique(part.packets["point"]).tolist()}
    return replace(
        found, time_ns=time, apart=_spread(found.apart, rows, len(batch)),
        choices=_spread(found.choices, rows, len(batch)),
        scale=_spread(found.scale, rows, len(batch)),
        estimates=tuple(each for each in found.estimates if each.clock in shown),
    )  # fmt: skip


def _spread(part: Codes, rows: Codes, count: int) -> Codes:
    # Values of some rows among those of all, 0 elsewhere; none stay none.
    if not len(part):
        return part
    found = np.zeros(count, part.dtype)
    found[rows] = part
    return found


def _aligned(
    batch: ObservationBatch,
    identity: Identity,
    groups: tuple[Codes, Codes],
    known: KnownClocks | None,
) -> Clocks:
    packets, known = batch.packets, known or KnownClocks()
    time = identity.stamp.copy()
    if known.added_ns:
        time += shifts(known.added_ns, batch.points)[packets["point"]]
    scale = scales_of(batch, identity)
    count = int(scale.max(initial=-1)) + 1
    if count < 2:
        return Clocks(time, _unchanged(identity), 1_000_000)
    samples = samples_of(batch, identity, groups, scale, time, FAR_NS)
    samples, choices = _with_arp(batch, identity, samples, scale, time, count)
    if (samples.sign == 0).any():
        root = _compared(samples.where(samples.sign != 0), scale, count)
        sign_far(samples, root[scale], scale, time, FAR_NS)
    points = _points(batch, scale)
    names = [scale_name(point) for point in points]
    added = np.array([known.added_ns.get(name, 0) for name in names])
    member, first, time, (fits, ends, loose) = _best(samples, scale, time, names, added, known)
    found = {int(code): fits.get(int(member[code])) for code in range(count)}
    latest = {
        names[code]: int(added[code]) - ends[int(member[code])]
        for code, fit_ in found.items()
        if fit_ is not None
    }
    root = _compared(samples, scale, count)
    apart = root[scale] if len(np.unique(root)) > 1 else root[:0]
    reference = int(np.flatnonzero(member == first)[0])
    pairs = known.bound_pairs(names)
    equal = (groups, identity.spot)
    sides = sides_of(samples, scale, time, member, reference, FAR_NS, pairs, equal)
    slack_ns = max(_slack(fits), _late(samples, packets, time))
    return Clocks(
        time, _estimates(points, found, known, sides), slack_ns, apart, choices,
        names[reference], latest, sides if sides.far_ns else None, scale, sides.groups(names),
        loose_ns=loose,
    )  # fmt: skip


def _best(
    samples: Samples, scale: Codes, time: Times, names: list[str], added: Codes, known: KnownClocks
) -> tuple[Codes, int, Times, Fits]:
    # Which scales share a clock, the one that the others are compared with, all stamps aligned to
    # it, and the fits. Stamps that were believed may be contradicted once others were corrected:
    # less is believed then, if that leaves much less of it.
    found, least = None, np.inf
    for belief in BELIEFS:
        member = agreeing(samples, scale, time, added, belief)
        if found is not None and (member == found[0]).all():
            continue
        first = _first(samples, member, scale, names, known)
        trusted = {int(member[i]) for i, name in enumerate(names) if name in known.estimates}
        aligned = time.copy()
        fits = _fit_all(samples, member, scale, aligned, first, trusted)
        share = contradicting(samples, aligned)
        if share < LESS * least:
            found, least = (member, first, aligned, fits), share
        if not fits[0] or least <= FEW:
            break
    assert found is not None
    return found


def _first(
    samples: Samples, member: Codes, scale: Codes, names: list[str], known: KnownClocks
) -> int:
    # The group that others are compared with.
    if known.reference in names:
        return int(member[names.index(known.reference)])
    count = len(member)
    sizes = np.bincount(member, np.bincount(scale, minlength=count), count).astype(np.int64)
    mutual = _both_ways(samples, scale, member)
    if mutual.any():  # of others no packet bounds the offset both ways, as of a mirror port's host
        sizes[~mutual] = 0
    return int(sizes.argmax())


def _points(batch: ObservationBatch, scale: Codes) -> list[Point]:
    # One of each scale, which are in the order of their numbers, not of their rows.
    _, firsts = factorise(scale.astype(np.uint64))
    codes = batch.packets["point"][firsts[np.argsort(scale[firsts])]]
    return [batch.points[code] for code in codes.tolist()]


def _with_arp(
    batch: ObservationBatch, identity: Identity, samples: Samples, scale: Codes, time: Times,
    count: int,
) -> tuple[Samples, Codes]:  # fmt: skip
    # The samples with those of ARP packets that were asked again, and `Clocks.choices`.
    nothing = np.empty(0, np.int64)
    if not len(batch.sections["arp"]):
        return samples, nothing
    root = _compared(samples.where(samples.sign != 0), scale, count)
    if len(np.unique(root)) == 1:
        return samples, nothing
    left, right, choices = asked_again(batch, identity.packet, scale, time, root)
    return with_level(samples, left, right, batch, identity.place, time), choices


def _compared(samples: Samples, scale: Codes, count: int) -> Codes:
    # A number for each scale; those that packets compare have one.
    parent = np.arange(count)
    _, where = factorise(pair_keys(scale[samples.left], scale[samples.right]))
    ends = scale[samples.left[where]].tolist(), scale[samples.right[where]].tolist()
    for left, right in zip(*ends, strict=True):
        parent[find_root(parent, left)] = find_root(parent, right)
    return roots(parent)


def _unchanged(identity: Identity) -> tuple[ClockEstimate, ...]:
    return tuple(ClockEstimate(name, 0, None) for name in identity.clocks)


def _slack(fits: dict[int, Fit]) -> int:
    known = [found.uncertainty_ns or 0 for found in fits.values()]
    return max([1_000_000, *(2 * ns for ns in known)])


def _both_ways(samples: Samples, scale: Codes, member: Codes) -> NDArray[np.bool_]:
    # The groups from which packets came to another one, and went there.
    left, right = member[scale[samples.left]], member[scale[samples.right]]
    pair, where = factorise(pair_keys(np.minimum(left, right), np.maximum(left, right)))
    way = samples.sign * np.where(left < right, 1, -1) * (left != right)
    there, back = (np.bincount(pair[way == sign], minlength=len(where)) > 0 for sign in (1, -1))
    found = np.zeros(len(member), np.bool_)
    for end in (left, right):
        found[end[where[there & back]]] = True
    return found


def _late(samples: Samples, packets: Any, time: Times) -> int:
    # By how much packets may seem to go back: twice what copies of bystanders showed to be late, or
    # what clocks leave unexplained.
    left, right = samples.left, samples.right
    way = np.sign(packets["ttl"][left].astype(np.int64) - packets["ttl"][right])
    late = (way * (time[left] - time[right]))[samples.sign == 0]
    return min(2 * max(int(late.max(initial=0)), _open(samples, time)), MOST_LATE_NS)


def _open(samples: Samples, time: Times) -> int:
    # By how much packets still arrive before they left, where that are more than a few: no clock
    # that was found explains them.
    early = ((time[samples.left] - time[samples.right]) * samples.sign)[samples.sign != 0]
    wrong = early[early > SLIGHTLY_NS]
    return int(np.quantile(wrong, NEARLY_ALL)) if len(wrong) > FEW * len(early) else 0


def _fit_all(
    samples: Samples, member: Codes, scale: Codes, time: Times, first: int, trusted: set[int]
) -> Fits:
    """Correct `time` in place, one group after the other, beginning with the `first`.

    Groups that share no packet with those are compared among themselves, the largest first.
    Returns the fits, how far ahead each group was at its last stamps, and `Clocks.loose_ns`. Of
    `trusted` groups what is known stays where packets went one way only: that says less.
    """
    bound = believed_to(samples, scale, time, member)
    if (member == first).all():
        return {}, {}, bound
    group = member[scale]
    sizes = np.bincount(group, minlength=len(member))
    left, right = group[samples.left], group[samples.right]
    done, fits, ends = np.arange(len(member)) == first, dict[int, Fit](), dict[int, int]()
    across = np.flatnonzero((left != right) & (samples.sign != 0))
    within = np.where(np.isfinite(bound), bound, 0.0)
    loose = np.zeros(len(member))  # how far each group may be off the one it began with
    while True:
        here, there = done[left[across]], done[right[across]]
        border = across[here != there]
        if not len(border):
            apart = np.unique(left[across[~here & ~there]])
            if not len(apart):
                return fits, ends, loose[member] + bound
            done[apart[np.argmax(sizes[apart])]] = True
            continue
        inside = done[left[border]]
        outer = np.where(inside, right[border], left[border])
        way = np.where(inside, samples.sign[border], -samples.sign[border])
        ahead, behind = (np.bincount(outer[way == sign], minlength=len(sizes)) for sign in (1, -1))
        # Those that packets bound both ways come first.
        chosen = int(np.argmax(ahead + behind + len(border) * ((ahead > 0) & (behind > 0))))
        mine = border[outer == chosen]
        rows = np.flatnonzero(group == chosen)
        delays = _delays(
            samples, mine, inside[outer == chosen], time, scale, (loose[member] + within)[scale]
        )
        found = fit(delays, int(time[rows].min()), int(time[rows].max()))
        done[chosen] = True
        if chosen in trusted and not found.both_ways and abs(found.added_ns) < LEAST_DELAY_NS:
            loose[chosen] = np.inf
            continue
        fits[chosen] = found
        loose[chosen] = found.uncertainty_ns or np.inf
        errors = found.error_at(time[rows])
        ends[chosen] = int(errors[np.argmax(time[rows])])
        time[rows] -= errors


def _delays(
    samples: Samples, mine: Codes, inside: NDArray[np.bool_], time: Times, scale: Codes,
    loose_ns: NDArray[np.float64],
) -> Delays:  # fmt: skip
    # `inside`: the left row of the sample is of a known clock; `loose_ns`: of each row.
    known = np.where(inside, samples.left[mine], samples.right[mine])
    asked = np.where(inside, samples.right[mine], samples.left[mine])
    way = np.where(inside, samples.sign[mine], -samples.sign[mine])
    pair = factorise(pair_keys(scale[asked], scale[known]))[0]
    return Delays(time[asked], time[asked] - time[known], way, pair, loose_ns[known])


def _estimates(
    points: Sequence[Point], fits: dict[int, Fit | None], known: KnownClocks, sides: Sides
) -> tuple[ClockEstimate, ...]:
    # `points` and `fits` of each scale.
    found = []
    for code, point in enumerate(points):
        name, got = scale_name(point), fits[code]
        if got is None and name not in known.estimates and sides.is_open[code]:
            samples = int(sides.samples[code])
            found.append(ClockEstimate(name, 0, None, 0.0, samples, "one-way", point.host))
        elif got is None:
            found.append(known.estimates.get(name, ClockEstimate(name, 0, None, host=point.host)))
        else:
            found.append(
                ClockEstimate(
                    name, known.added_ns.get(name, 0) + got.added_ns, got.uncertainty_ns,
                    got.drift_ppm, got.samples, got.evidence, point.host,
                )
            )  # fmt: skip
    return tuple(sorted(dict.fromkeys(found), key=lambda estimate: estimate.clock))
