"""How far one clock is ahead of another: offset, drift and steps from delays both ways."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.clocks.agreement import FAR_NS
from tracer.correlate.clocks.drift import FEWEST, Sides, drift_of, drifts_of, tightest
from tracer.correlate.clocks.outliers import contradicting
from tracer.correlate.clocks.steps import step_at

Times = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_STEPS = 4
NEIGHBOURS = 15
ROUNDED_NS = 2_000  # stamps of packets that took no time may be out of order by as much


@dataclass(frozen=True, slots=True)
class Delays:
    """What packets say of a clock, shape (samples,), nanoseconds.

    `stamps` it gave and how far `ahead` each was of the known clock's; `way`: 1 where the packet
    came from the known clock (so `ahead` is error plus delay), -1 where it went there (error minus
    delay). `pair`: a number for each two clocks; `loose_ns`: how far the known one may be off.
    """

    stamps: Times
    ahead: Times
    way: Times
    pair: Times
    loose_ns: Floats

    def take(self, rows: Any) -> "Delays":
        """Return some of them."""
        columns = (self.stamps, self.ahead, self.way, self.pair, self.loose_ns)
        return Delays(*(column[rows] for column in columns))

    def sides(self, base: int, origin: int) -> list[Sides]:
        """Return those of all pairs, then of each pair: times since `origin`, ahead of `base`."""
        both = np.stack([self.stamps - origin, self.ahead - base]).astype(np.float64)
        pairs = np.unique(self.pair)
        chosen = [np.ones(len(self.pair), np.bool_)]
        chosen += [self.pair == pair for pair in pairs] if len(pairs) > 1 else []
        here, there = self.way > 0, self.way < 0
        return [Sides(both[:, one & here], both[:, one & there]) for one in chosen]


@dataclass(slots=True)
class Piece:
    """A stretch without a step: the clock is ahead by `error_ns` + `drift` x (stamp - `origin`).

    `width_ns` of the corridor that delays leave, below 0 where they contradict each other;
    `uncertain_ns`: what the error may be off by, None where only one way was seen.
    """

    start_ns: int
    origin: int
    error_ns: float
    drift: float
    width_ns: float
    uncertain_ns: float | None


@dataclass(slots=True)
class Fit:
    """Pieces of one clock in time order, from `samples` packets."""

    pieces: list[Piece]
    samples: int
    both_ways: bool

    def error_at(self, stamps: Times) -> Times:
        """Return how far ahead the clock is at its own stamps, int64 nanoseconds."""
        out = np.zeros(len(stamps), np.int64)
        for i, piece in enumerate(self.pieces):
            rows = stamps >= piece.start_ns if i else np.ones(len(stamps), np.bool_)
            drifted = (stamps[rows] - piece.origin) * piece.drift
            out[rows] = np.round(piece.error_ns + drifted).astype(np.int64)
        return out

    @property
    def added_ns(self) -> int:
        """What is added to the first stamps."""
        return -round(self.pieces[0].error_ns)

    @property
    def uncertainty_ns(self) -> int | None:
        """How far the packets allow the error to be from this; None where they do not say it."""
        found = [piece.uncertain_ns for piece in self.pieces]
        known = [ns for ns in found if ns is not None]
        return max(1, round(max(known))) if len(known) == len(found) else None

    @property
    def drift_ppm(self) -> float:
        """Drift of the longest piece against the reference."""
        return round(self.pieces[-1].drift * 1e6, 3)

    @property
    def evidence(self) -> str:
        """What the estimate rests on."""
        if not self.both_ways:
            return "one-way"
        return "step" if len(self.pieces) > 1 else "both-ways"


def fit(delays: Delays, first_ns: int, last_ns: int) -> Fit:
    """Return the fit of a clock whose first and last stamps are given."""
    delays = delays.take(np.argsort(delays.stamps, kind="stable"))
    delays = delays.take(_plausible(delays.ahead, delays.way))
    delays = delays.take(_explained(delays))
    pieces = _pieces(delays, first_ns, last_ns, MOST_STEPS)
    ways = len(np.unique(delays.way))
    return Fit(pieces, len(delays.way), ways == 2)


def _plausible(ahead: Times, way: Times) -> NDArray[np.bool_]:
    """Whether each sample is near those around it: packets wrongly taken for one are not."""
    kept = np.ones(len(ahead), np.bool_)
    for sign in (-1, 1):
        rows = np.flatnonzero(way == sign)
        if len(rows) < NEIGHBOURS:
            continue
        padded = np.pad(ahead[rows], NEIGHBOURS // 2, mode="reflect")
        around = np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS)
        middle = np.median(around, axis=1)
        off = np.abs(ahead[rows] - middle)
        kept[rows] = off <= max(20 * float(np.median(off)), 10_000_000.0)
    return kept


def _explained(delays: Delays) -> NDArray[np.bool_]:
    # Whether each sample is one that a clock explains; where one does all, nothing is looked at.
    kept = np.ones(len(delays.way), np.bool_)
    sides = delays.sides(int(delays.ahead[0]), int(delays.stamps[0]))[0]
    if sides.width(drift_of(sides)) >= -ROUNDED_NS:
        return kept
    for wrong, way in zip(contradicting(sides, ROUNDED_NS), (1, -1), strict=True):
        kept[np.flatnonzero(delays.way == way)[wrong]] = False
    return kept


def _pieces(delays: Delays, first_ns: int, last_ns: int, steps: int) -> list[Piece]:
    stamps = delays.stamps
    origin, base = int(stamps[0]), int(delays.ahead[0])
    sides, *parts = delays.sides(base, origin)
    drift = _drift(sides, parts)
    low, high = sides.corridor(drift)
    if high < low - ROUNDED_NS and steps and len(delays.way) >= FEWEST:
        x, y = (column.astype(np.float64) for column in (stamps - origin, delays.ahead - base))
        at = step_at(x, y, delays.way, high - low, ROUNDED_NS)
        if at is not None:
            cut = int(stamps[at])
            # Samples that no clock explains are told only where it was not set in between.
            before, after = (delays.take(part) for part in (slice(None, at), slice(at, None)))
            pieces = _pieces(before.take(_explained(before)), first_ns, cut, steps - 1)
            pieces += _pieces(after.take(_explained(after)), cut, last_ns, steps - 1)
            if all(piece.width_ns >= -ROUNDED_NS for piece in pieces):
                return pieces
    if not sides.are_both:
        far = _far_step(delays.ahead) if steps else None
        if far is not None:
            cut = int(stamps[far])
            pieces = _pieces(delays.take(slice(None, far)), first_ns, cut, steps - 1)
            return pieces + _pieces(delays.take(slice(far, None)), cut, last_ns, steps - 1)
        error = high if np.isfinite(high) else low
        return [Piece(origin, origin, base + error, drift, high - low, None)]
    error = (low + high) / 2
    ends = (first_ns - origin, last_ns - origin)
    beyond = _uncertain(sides, delays.loose_ns, delays.way, error, drift, ends)
    if high < low - ROUNDED_NS:
        beyond = max(beyond, (low - high) / 2 + _usual_width(delays) + delays.loose_ns.max())
    known = beyond if np.isfinite(beyond) else None
    return [Piece(origin, origin, base + error, drift, high - low, known)]


def _far_step(ahead: Times) -> int | None:
    # Where packets of one way begin to take longer, or less long, by more than any is on its way.
    if len(ahead) < 2 * FEWEST:
        return None
    level = np.median(np.lib.stride_tricks.sliding_window_view(ahead, FEWEST), axis=1)
    apart = np.abs(level[FEWEST:] - level[:-FEWEST])
    if apart.max() <= FAR_NS:
        return None
    # All that is between is about as far apart: the cut is where one packet is from the next.
    middle = int(np.argmax(apart)) + FEWEST
    first, last = middle - FEWEST + 1, middle + FEWEST
    return first + int(np.argmax(np.abs(np.diff(ahead[first - 1 : last]))))


def _usual_width(delays: Delays) -> float:
    # Of the corridor between packets that follow each other, where no line explains all of them:
    # by as much the error may be beyond what contradicts it.
    turned = delays.way[1:] != delays.way[:-1]
    wide = (np.diff(delays.ahead) * delays.way[1:])[turned]
    return float(max(np.median(wide), 0)) if len(wide) else 0.0


def _drift(sides: Sides, parts: list[Sides]) -> float:
    # That of the two clocks with least delay between them, if it explains what all others say.
    near = tightest(parts)
    if near is not None:
        drift = drift_of(near)
        if sides.width(drift) >= 0:
            return drift
    return drift_of(sides)


def _uncertain(
    sides: Sides, loose_ns: Floats, way: Times, error: float, drift: float, ends: tuple[int, int]
) -> float:
    # How far other lines that packets leave possible are from this one at either end of what was
    # stamped. The clocks it was compared with may be off themselves.
    wider = sides.widened(loose_ns[way > 0], loose_ns[way < 0]).outermost()
    most = 0.0
    for other in (drift, *drifts_of(sides, drift)):
        for bound in wider.corridor(other):
            for end in ends:
                most = max(most, abs(bound - error + (other - drift) * end))
    return most
