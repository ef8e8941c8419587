"""Precision, recall and calibration of joins on simulated networks with known truth.

A row a scenario: of several seeds the worst figures. Then, over all joins, how often those that
claim a confidence are right. Exit status 1 when a requirement is missed.
`scripts/bench accuracy` runs it.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

from tracer import jit_cache  # noqa: E402

jit_cache.prepare()

from scenarios.catalogue import SCENARIOS, make  # noqa: E402
from scenarios.scoring import (  # noqa: E402
    CALIBRATION,
    PRECISION,
    RECALL,
    SURE,
    Score,
    claims,
    score,
)

from tracer.correlate.join import JoinOptions, join  # noqa: E402

HEAD = (
    f"{'scenario':<28}{'packets':>8}{'rows':>9}{'precision':>11}{'recall':>9}{'alike':>8}"
    f"{'mixed':>7}{'silent':>8}{'alarms':>8}{'sure':>9}{'order':>8}{'replies':>8}"
    f"{'quotes':>8}{'repeats':>8}{'lost':>8}{'not lost':>9}{'clock µs':>12}{'s':>7}  result"
)
EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
Claims = tuple[NDArray[np.float32], NDArray[np.bool_]]


def share(value: float, digits: int = 4) -> str:
    """Return a share cut, not rounded, so that 1.0000 means all."""
    if math.isnan(value):
        return "-"
    return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f}"


def _worst(scores: list[Score], pick: Callable[[Score], float], most: bool = False) -> float:
    known = [value for value in map(pick, scores) if not math.isnan(value)]
    return (max if most else min)(known, default=math.nan)


def line(name: str, scores: list[Score], seconds: float) -> str:
    """Return a scenario's row of the table."""
    passed = sum(s.passed for s in scores)
    problems = sorted({problem for s in scores for problem in s.problems})
    result = f"{passed} of {len(scores)} pass" + (f": {', '.join(problems)}" if problems else "")
    low = [share(_worst(scores, pick), digits) for pick, digits in (
        (lambda s: s.precision, 5), (lambda s: s.recall, 4))]  # fmt: skip
    later = [share(_worst(scores, pick)) for pick in (
        lambda s: s.order_right, lambda s: s.replies_found, lambda s: s.quotes_right,
        lambda s: s.repeats_right, lambda s: s.losses_found)]  # fmt: skip
    return (
        f"{name:<28}{sum(s.packets for s in scores):>8}{sum(s.rows for s in scores):>9}"
        f"{low[0]:>11}{low[1]:>9}{sum(s.indistinguishable for s in scores):>8}"
        f"{sum(s.mixed for s in scores):>7}"
        f"{share(_worst(scores, lambda s: s.silent, True), 3):>8}"
        f"{share(_worst(scores, lambda s: s.false_alarms, True)):>8}"
        f"{share(_worst(scores, lambda s: s.sure_right), 5):>9}"
        + "".join(f"{value:>8}" for value in later)
        + f"{sum(s.losses_wrong for s in scores):>9}"
        f"{_worst(scores, lambda s: s.clock_error_ns / 1000, True):>12.1f}{seconds:>7.2f}  {result}"
    )


def measure(name: str, seeds: range, scale: float) -> tuple[bool, list[Claims]]:
    """Print a scenario's row; return whether it passed with all seeds, and what its joins claim."""
    start = time.perf_counter()
    scores, claimed = [], []
    for seed in seeds:
        scenario = make(name, seed, scale)
        result = join(scenario.batch, scenario.conntrack, JoinOptions())
        scores.append(score(scenario, result))
        claimed.append(claims(scenario.truth, result)[:2])
    print(line(name, scores, time.perf_counter() - start), flush=True)
    return all(s.passed for s in scores), claimed


def calibration(claimed: list[Claims]) -> bool:
    """Print how often joins are right by what they claim; return whether the sure ones are."""
    confidence = np.concatenate([part for part, _ in claimed])
    right = np.concatenate([part for _, part in claimed])
    print(f"\n{'confidence':<16}{'joins':>10}{'claimed':>10}{'right':>10}{'wrong':>8}")
    for low, high in pairwise(EDGES):
        mine = (confidence >= low) & (confidence < high)
        if mine.any():
            print(
                f"{low:.3f} … {high:.3f} {mine.sum():>9}{share(confidence[mine].mean(), 5):>10}"
                f"{share(right[mine].mean(), 5):>10}{int((~right[mine]).sum()):>8}"
            )
    sure = confidence >= SURE
    print(f"claimed at {SURE} or more: {sure.sum()} joins, {int((~right[sure]).sum())} wrong")
    return not sure.any() or float(right[sure].mean()) >= CALIBRATION


def main() -> int:
    """Run the scenarios asked for and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS))
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=4, help="how many")
    parser.add_argument("--scale", type=float, default=0.5, help="of the traffic; 1 is thousands")
    options = parser.parse_args()
    print(
        f"required: precision {PRECISION}, recall {RECALL}, of joins claimed at {SURE} {SURE} right"
    )
    print(HEAD)
    names = options.scenario or list(SCENARIOS)
    seeds = range(options.seed, options.seed + options.seeds)
    passed, claimed = 0, list[Claims]()
    for name in names:
        fine, mine = measure(name, seeds, options.scale)
        passed += fine
        claimed += mine
    sure = calibration(claimed)
    print(f"{passed} of {len(names)} scenarios pass with seeds {seeds[0]} to {seeds[-1]}")
    return 0 if passed == len(names) and sure else 1


if __name__ == "__main__":
    sys.exit(main())
