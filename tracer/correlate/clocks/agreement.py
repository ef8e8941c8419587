"""Which captures share one clock: those whose stamps no packet contradicts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.clocks.samples import FEWEST, Samples
from tracer.correlate.hashing import Codes, factorise, pair_keys

Times = NDArray[np.int64]
Mask = NDArray[np.bool_]
SURELY_NS = 100_000  # stamps of one host may be out of order by less
SLIGHTLY_NS = 2_000
FAR_NS = 400_000_000  # no packet is that long on its way; one way alone then says it, too


@dataclass(frozen=True, slots=True)
class Belief:
    """How far stamps of two clocks are believed to be of one.

    `late_share` of what compares them may be slightly late. If packets of one way alone compare
    them, and others showed both to be off (one of them, if `of_either`), the quickest one may have
    taken `one_way_ns` at most.
    """

    late_share: float
    one_way_ns: int
    of_either: bool = False


#: In this order: each asks for more than the one before, so that fewer clocks are one.
BELIEFS = (
    Belief(0.25, SURELY_NS), Belief(0.01, 10_000, True), Belief(0.0005, SLIGHTLY_NS, True),
    Belief(0.0005, -FAR_NS, True),
)  # fmt: skip


def agreeing(samples: Samples, scale: Codes, time: Times, added: Codes, belief: Belief) -> Codes:
    """Return a group for each scale: those in one group never contradict each other's stamps.

    `added`: what is added to those of each scale already; scales that differ in it stay two.
    """
    delay = (time[samples.right] - time[samples.left]) * samples.sign
    signed = samples.sign != 0
    pair, where = factorise(pair_keys(scale[samples.left], scale[samples.right]))
    total = np.bincount(pair[signed], minlength=len(where))
    surely = np.bincount(pair[signed & (delay < -SURELY_NS)], minlength=len(where))
    slightly = np.bincount(pair[signed & (delay < -SLIGHTLY_NS)], minlength=len(where))
    far = np.bincount(pair[signed & (np.abs(delay) > FAR_NS)], minlength=len(where))
    left, right = scale[samples.left[where]], scale[samples.right[where]]
    # Kernels stamp a little late where the CPU is taken away: that is no other clock.
    denied = (surely > 0.05 * total) | (slightly > belief.late_share * total) | (far > 0.5 * total)
    denied |= _denied_one_way(pair, samples.sign, delay, len(where))
    denied |= added[left] != added[right]
    both = np.bincount(pair[samples.sign > 0], minlength=len(where)) > 0
    both &= np.bincount(pair[samples.sign < 0], minlength=len(where)) > 0
    # Stamps that are believed until packets contradict them: those that do not compare both ways
    # are not believed of clocks of which others showed each to be off. If the quickest packet took
    # no time to speak of, that is no chance: both are off by the same.
    off = np.zeros(len(added), np.bool_)
    off[left[denied]] = off[right[denied]] = True
    doubted = off[left] | off[right] if belief.of_either else off[left] & off[right]
    least = np.full(len(where), FAR_NS)
    np.minimum.at(least, pair[signed], delay[signed])
    total[~both & doubted & (least > belief.one_way_ns)] = 0
    return _grouped(left, right, denied, total, len(added))


# Whether hardly a packet of one way took a time that could be. Most may have gone the other way,
# and to those that go there clocks which differ are no more than a longer way.
def _denied_one_way(pair: Codes, sign: NDArray[np.int8], delay: Times, count: int) -> Mask:
    found = np.zeros(count, np.bool_)
    for way in (1, -1):
        mine = sign == way
        total = np.bincount(pair[mine], minlength=count)
        surely = np.bincount(pair[mine & (delay < -SURELY_NS)], minlength=count)
        found |= (surely >= FEWEST) & (surely > 0.5 * total)
    return found


def _grouped(left: Codes, right: Codes, denied: Mask, total: Codes, count: int) -> Codes:
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


def contradicting(samples: Samples, time: Times) -> float:
    """Return of what share of samples the packet arrived before it left, by aligned stamps."""
    delay = (time[samples.right] - time[samples.left]) * samples.sign
    return float((delay < -SLIGHTLY_NS).sum() / max((samples.sign != 0).sum(), 1))
