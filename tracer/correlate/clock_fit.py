"""How far one clock is ahead of another: offset, drift and steps from delays both ways."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_DRIFT = 500e-6  # quartz is off by 100 ppm at most; room for virtual machines
ABOUT = 0.997  # of the widest corridor
MOST_STEPS = 4
NEIGHBOURS = 15


@dataclass(slots=True)
class Piece:
    """A stretch without a step: the clock is ahead by `error_ns` + `drift` x (stamp - `origin`)."""

    start_ns: int
    origin: int
    error_ns: float
    drift: float
    width_ns: float
    both_ways: bool


@dataclass(slots=True)
class Fit:
    """Pieces of one clock in time order, from `samples` packets."""

    pieces: list[Piece]
    samples: int

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
        """Half the widest corridor the delays leave; None where only one way was seen."""
        if not all(piece.both_ways for piece in self.pieces):
            return None
        return max(1, round(max(piece.width_ns for piece in self.pieces) / 2))

    @property
    def drift_ppm(self) -> float:
        """Drift of the longest piece against the reference."""
        return round(self.pieces[-1].drift * 1e6, 3)

    @property
    def evidence(self) -> str:
        """What the estimate rests on."""
        if len(self.pieces) > 1:
            return "step"
        return "both-ways" if self.pieces[0].both_ways else "one-way"


def fit(stamps: Times, ahead: Times, way: Times) -> Fit:
    """Return the fit of a clock from its stamps and how far each was ahead of the known clock's.

    `way` is 1 where the packet came from the known clock (so `ahead` is error plus delay), -1
    where it went there (error minus delay). Shapes (samples,), nanoseconds.
    """
    order = np.argsort(stamps, kind="stable")
    stamps, ahead, way = stamps[order], ahead[order], way[order]
    kept = _plausible(ahead, way)
    pieces = _pieces(stamps[kept], ahead[kept], way[kept], MOST_STEPS)
    return Fit(pieces, int(kept.sum()))


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


def _corridor(x: Floats, y: Floats, way: Times, drift: float) -> tuple[float, float]:
    level = y - drift * x
    high = level[way > 0].min() if (way > 0).any() else np.inf
    low = level[way < 0].max() if (way < 0).any() else -np.inf
    return float(low), float(high)


def _width(x: Floats, y: Floats, way: Times, drift: float) -> float:
    low, high = _corridor(x, y, way, drift)
    return high - low


def _best_drift(x: Floats, y: Floats, way: Times) -> float:
    # The corridor's width is a concave function of the drift, so a ternary search finds its top.
    if not ((way > 0).any() and (way < 0).any()) or len(x) < 8:
        return 0.0
    low, high = -MOST_DRIFT, MOST_DRIFT
    for _ in range(50):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if _width(x, y, way, a) < _width(x, y, way, b):
            low = a
        else:
            high = b
    best = (low + high) / 2
    still, moved = _width(x, y, way, 0.0), _width(x, y, way, best)
    if still > 0 and still > 0.8 * moved:
        return 0.0
    return _least_drift(x, y, way, best)


def _least_drift(x: Floats, y: Floats, way: Times, best: float) -> float:
    # Where packets went one way for a short time only, they do not keep the drift from becoming
    # ever larger: of those that leave about the widest corridor the smallest is meant.
    enough = ABOUT * _width(x, y, way, best)
    if enough <= 0:
        return best
    low, high = 0.0, 1.0
    for _ in range(20):
        share = (low + high) / 2
        if _width(x, y, way, share * best) < enough:
            low = share
        else:
            high = share
    return high * best


def _pieces(stamps: Times, ahead: Times, way: Times, steps: int) -> list[Piece]:
    origin = int(stamps[0])
    base = int(ahead[0])
    x = (stamps - origin).astype(np.float64)
    y = (ahead - base).astype(np.float64)
    drift = _best_drift(x, y, way)
    low, high = _corridor(x, y, way, drift)
    if high < low and steps and len(x) >= 8:
        at = _step(y, way)
        if at is not None:
            before = _pieces(stamps[:at], ahead[:at], way[:at], steps - 1)
            return before + _pieces(stamps[at:], ahead[at:], way[at:], steps - 1)
    both = bool(np.isfinite(low) and np.isfinite(high))
    middle = (low + high) / 2 if both else (high if np.isfinite(high) else low)
    return [Piece(origin, origin, base + middle, drift, abs(high - low), both)]


def _step(y: Floats, way: Times) -> int | None:
    """Where to cut so that both parts leave the widest corridor; None where no cut helps."""
    high = np.where(way > 0, y, np.inf)
    low = np.where(way < 0, y, -np.inf)
    ahead = np.minimum.accumulate(high) - np.maximum.accumulate(low)
    behind = np.minimum.accumulate(high[::-1])[::-1] - np.maximum.accumulate(low[::-1])[::-1]
    width = np.minimum(ahead[:-1], behind[1:])
    width[~np.isfinite(width)] = -np.inf
    at = int(np.argmax(width))
    whole = float(high.min() - low.max())
    return at + 1 if width[at] > max(whole, 0.0) else None
