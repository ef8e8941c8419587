"""Regular sequences: the line of sequence number over time, and what lies on it.

A ping sends one number a period. Captures of it minutes apart are samples of one line, so the line
through some predicts the number, or the time, of another. All times are float ns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.flow_paths.sightings import WRAP, Sighting

# Within one capture periods differ this much: a ping of 1 s sends every 1.000 to 1.024 s.
PERIOD_SLACK = 0.05
SAME_CLOCK_SLACK_NS = 2e9
OTHER_CLOCK_SLACK_NS = 60e9  # clocks of guests are seconds off in practice
SINGLE_SPREAD = 0.02  # of a period, what gaps spread where too few were seen to tell
_STUDENT = {1: 1.84, 2: 1.32}  # one standard deviation of Student's t
_FLOOR = 16  # the spread of a mean is not below that of single gaps by more than this


@dataclass(frozen=True, slots=True)
class Sample:
    """One capture on the line, its number unwrapped against the others."""

    seq: float
    time_ns: float
    clock: str
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class Line:
    """time = `time_ns` + (seq - `seq`) * `period_ns`, through `samples` of one clock.

    `step_ns` is the standard deviation that one period adds to a prediction.
    """

    seq: float
    time_ns: float
    period_ns: float
    step_ns: float
    samples: tuple[Sample, ...]

    def time_of(self, seq: float) -> float:
        """Return when the line has a number, ns."""
        return self.time_ns + (seq - self.seq) * self.period_ns

    def residual(self, seq: float, time_ns: float) -> float:
        """Return how far a point lies from the line, in periods; positive is late."""
        return (time_ns - self.time_of(seq)) / self.period_ns

    def spread_ns(self, seq: float) -> float:
        """Return the standard deviation of a predicted time, ns, for a random walk of periods."""
        numbers = [sample.seq for sample in self.samples]
        low, high = min(numbers), max(numbers)
        within = max(high - low, 1.0)
        if low <= seq <= high:
            return self.step_ns * float(np.sqrt((seq - low) * (high - seq) / within))
        away = low - seq if seq < low else seq - high
        return self.step_ns * float(np.sqrt(away + away * away / within))


def rough_period(sightings: Sequence[Sighting]) -> float | None:
    """Return the median time per number inside captures, ns; None where none has two packets."""
    gaps = np.concatenate([s.gaps for s in sightings] or [np.empty(0)])
    return float(np.median(gaps)) if len(gaps) else None


def continues(one: Sighting, other: Sighting) -> bool:
    """Return whether two captures of one five-tuple can be one run of it, by number and time."""
    if not (one.has_sequence and other.has_sequence):
        return True
    period = rough_period([one, other])
    if period is None or period <= 0:
        return True
    (seq, time), (seq2, time2) = one.sample, other.sample
    took = time2 - time
    steps = seq2 - seq
    steps += WRAP * round((took / period - steps) / WRAP)
    slack = SAME_CLOCK_SLACK_NS if one.clock == other.clock else OTHER_CLOCK_SLACK_NS
    return bool(abs(steps * period - took) <= slack + PERIOD_SLACK * abs(took))


def samples_of(sightings: Sequence[Sighting], offsets: dict[str, float]) -> list[Sample]:
    """Return one sample per capture in time order, offsets (ns) added, numbers unwrapped."""
    usable = [s for s in sightings if s.has_sequence]
    period = rough_period(usable)
    usable.sort(key=lambda s: s.sample[1] + offsets.get(s.clock, 0.0))
    samples: list[Sample] = []
    for sighting in usable:
        seq, time = sighting.sample
        time += offsets.get(sighting.clock, 0.0)
        if samples and period:
            last = samples[-1]
            expected = last.seq + (time - last.time_ns) / period
            seq += WRAP * round((expected - seq) / WRAP)
        samples.append(Sample(seq, time, sighting.clock, sighting))
    return samples


def fit_line(samples: Sequence[Sample]) -> Line | None:
    """Return the line through samples of one clock, None when nothing gives it a slope.

    The period is the weighted median of the slopes between captures (Theil-Sen, weighted by what
    they span), for one capture its own mean gap.
    """
    if not samples:
        return None
    gaps = np.concatenate([sample.sighting.gaps for sample in samples])
    slopes, spans = _slopes(samples)
    if len(slopes):
        period = _weighted_median(slopes, spans)
    elif len(gaps):
        own = samples[0].sighting
        period = float((own.time_ns[-1] - own.time_ns[0]) / max(own.seq[-1] - own.seq[0], 1))
    else:
        return None
    if not period > 0:
        return None
    seq = float(np.median([sample.seq for sample in samples]))
    time = float(np.median([s.time_ns - (s.seq - seq) * period for s in samples]))
    return Line(seq, time, period, _step(samples, gaps, period), tuple(samples))


def _slopes(samples: Sequence[Sample]) -> tuple[list[float], list[float]]:
    slopes, spans = [], []
    for index, one in enumerate(samples):
        for other in samples[index + 1 :]:
            if other.seq != one.seq:
                slopes.append((other.time_ns - one.time_ns) / (other.seq - one.seq))
                spans.append(abs(other.seq - one.seq))
    return slopes, spans


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    order = np.argsort(values)
    total = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order][np.searchsorted(total, total[-1] / 2)])


# The noise of one period: from how the segments between captures differ, else from single gaps.
def _step(samples: Sequence[Sample], gaps: NDArray[np.float64], period: float) -> float:
    single = float(np.sqrt(np.mean((gaps - period) ** 2))) if len(gaps) else 0.0
    if len(samples) < 2 or not len(gaps):
        single = max(single, SINGLE_SPREAD * period)
    ordered = sorted(samples, key=lambda sample: sample.seq)
    steps = np.diff([sample.seq for sample in ordered])
    times = np.diff([sample.time_ns for sample in ordered])
    freedom = int(np.count_nonzero(steps > 0)) - 1
    if freedom < 1:
        return single
    steps, times = steps[steps > 0], times[steps > 0]
    mean = times.sum() / steps.sum()
    spread = float(np.sqrt(np.sum(steps * (times / steps - mean) ** 2) / freedom))
    return max(spread * _STUDENT.get(freedom, 1.1), single / _FLOOR)


def inner_residual(samples: Sequence[Sample]) -> float | None:
    """Return how far inner captures lie from the outermost ones' line, at most, in periods."""
    if len(samples) < 3:
        return None
    ordered = sorted(samples, key=lambda sample: sample.seq)
    line = fit_line([ordered[0], ordered[-1]])
    if line is None:
        return None
    return max(abs(line.residual(sample.seq, sample.time_ns)) for sample in ordered[1:-1])
