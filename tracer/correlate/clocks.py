"""Clocks: which captures share one, and what the others are off by.

Stamps are believed until packets contradict them: one that arrives before it left, by the stamps.
Then the minimum delays each way bound the offset (as NTP does), with drift and steps.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import ClockEstimate
from tracer.correlate.clock_fit import Delays, Fit, fit
from tracer.correlate.clock_samples import Samples, samples_of, scales_of
from tracer.correlate.hashing import Codes, factorise, find_root, pair_keys, roots
from tracer.correlate.identity import Identity

Times = NDArray[np.int64]
SURELY_NS = 100_000  # stamps of one host may be out of order by less
SLIGHTLY_NS = 2_000
FAR_NS = 400_000_000  # no packet is that long on its way; one way alone then says it, too


@dataclass(slots=True)
class Clocks:
    """`time_ns` of every row on one scale, the `estimates`, and `slack_ns`, how far it may err.

    `apart`: a number of each row; those of rows whose clocks no packet compares differ. It has no
    element where all are compared.
    """

    time_ns: Times
    estimates: tuple[ClockEstimate, ...]
    slack_ns: int
    apart: Codes = field(default_factory=lambda: np.empty(0, np.int64))


def align(batch: ObservationBatch, identity: Identity, groups: tuple[Codes, Codes]) -> Clocks:
    """Return all stamps on the scale of the clock with most rows."""
    packets = batch.packets
    time = packets["time_ns"].astype(np.int64)
    told = np.array([bool(point.clock or point.host) for point in batch.points] + [False])
    has_host = told[packets["point"]]
    capture = packets["capture"].astype(np.int64)
    scale = scales_of(packets, capture, identity.clock, has_host)
    count = int(scale.max(initial=-1)) + 1
    if count < 2:
        return Clocks(time, _unchanged(identity), 1_000_000)
    samples = samples_of(packets, identity, groups, scale, time)
    member = _agreeing(samples, scale, time, count)
    fits = _fit_all(samples, member, scale, time)
    estimates = _estimates(batch, scale, member, fits)
    return Clocks(time, estimates, _slack(fits), _apart(samples, scale, count))


def _apart(samples: Samples, scale: Codes, count: int) -> Codes:
    parent = np.arange(count)
    _, where = factorise(pair_keys(scale[samples.left], scale[samples.right]))
    ends = scale[samples.left[where]].tolist(), scale[samples.right[where]].tolist()
    for left, right in zip(*ends, strict=True):
        parent[find_root(parent, left)] = find_root(parent, right)
    root = roots(parent)
    found: Codes = root[scale] if len(np.unique(root)) > 1 else root[:0]
    return found


def _unchanged(identity: Identity) -> tuple[ClockEstimate, ...]:
    return tuple(ClockEstimate(name, 0, None) for name in identity.clocks)


def _slack(fits: dict[int, Fit]) -> int:
    known = [found.uncertainty_ns or 0 for found in fits.values()]
    return max([1_000_000, *(2 * ns for ns in known)])


def _agreeing(samples: Samples, scale: Codes, time: Times, count: int) -> Codes:
    """Return a group for each scale: those in one group never contradict each other's stamps."""
    delay = (time[samples.right] - time[samples.left]) * samples.sign
    signed = samples.sign != 0
    pair, where = factorise(pair_keys(scale[samples.left], scale[samples.right]))
    total = np.bincount(pair[signed], minlength=len(where))
    surely = np.bincount(pair[signed & (delay < -SURELY_NS)], minlength=len(where))
    slightly = np.bincount(pair[signed & (delay < -SLIGHTLY_NS)], minlength=len(where))
    far = np.bincount(pair[signed & (np.abs(delay) > FAR_NS)], minlength=len(where))
    denied = (surely > 0.05 * total) | (slightly > 0.25 * total) | (far > 0.5 * total)
    left, right = scale[samples.left[where]], scale[samples.right[where]]
    return _grouped(left, right, denied, total, count)


def _grouped(
    left: Codes, right: Codes, denied: NDArray[np.bool_], total: Codes, count: int
) -> Codes:
    # Pairs with most samples first; two groups with any contradiction between them stay two.
    member = np.arange(count)
    against = {
        frozenset((int(a), int(b))) for a, b in zip(left[denied], right[denied], strict=True)
    }
    for i in np.argsort(-total, kind="stable"):
        a, b = int(member[left[i]]), int(member[right[i]])
        if denied[i] or a == b or total[i] == 0:
            continue
        ours, theirs = np.flatnonzero(member == a), np.flatnonzero(member == b)
        if any(frozenset((int(x), int(y))) in against for x in ours for y in theirs):
            continue
        member[member == max(a, b)] = min(a, b)
    return member


def _fit_all(samples: Samples, member: Codes, scale: Codes, time: Times) -> dict[int, Fit]:
    """Correct `time` in place, one group after the other, beginning with the largest.

    Groups that share no packet with those are compared among themselves, the largest first.
    """
    group = member[scale]
    sizes = np.bincount(group, minlength=len(member))
    left, right = group[samples.left], group[samples.right]
    done, fits = {int(np.argmax(sizes))}, dict[int, Fit]()
    across = np.flatnonzero((left != right) & (samples.sign != 0))
    loose = np.zeros(len(member))  # how far each group may be off the one it began with
    while True:
        here, there = np.isin(left[across], list(done)), np.isin(right[across], list(done))
        border = across[here != there]
        if not len(border):
            apart = np.unique(left[across[~here & ~there]])
            if not len(apart):
                return fits
            done.add(int(apart[np.argmax(sizes[apart])]))
            continue
        inside = np.isin(left[border], list(done))
        outer = np.where(inside, right[border], left[border])
        chosen = int(np.argmax(np.bincount(outer)))
        mine = border[outer == chosen]
        rows = np.flatnonzero(group == chosen)
        delays = _delays(samples, mine, inside[outer == chosen], time, scale, loose[group])
        fits[chosen] = fit(delays, int(time[rows].min()), int(time[rows].max()))
        loose[chosen] = fits[chosen].uncertainty_ns or np.inf
        time[rows] -= fits[chosen].error_at(time[rows])
        done.add(chosen)


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
    batch: ObservationBatch, scale: Codes, member: Codes, fits: dict[int, Fit]
) -> tuple[ClockEstimate, ...]:
    packets: Any = batch.packets
    found = []
    _, firsts = factorise(scale.astype(np.uint64))
    for code, row in enumerate(firsts):
        point = batch.points[packets["point"][row]]
        told = bool(point.clock or point.host)
        name = point.clock_name if told else point.name
        got = fits.get(int(member[code]))
        if got is None:
            found.append(ClockEstimate(name, 0, None, host=point.host))
        else:
            found.append(
                ClockEstimate(
                    name, got.added_ns, got.uncertainty_ns, got.drift_ppm, got.samples,
                    got.evidence, point.host,
                )
            )  # fmt: skip
    return tuple(sorted(dict.fromkeys(found), key=lambda estimate: estimate.clock))
