"""Precision and recall of the correlator on simulated networks with known truth.

A row a scenario; exit status 1 when a requirement is missed. `scripts/bench accuracy` runs it.
"""

import argparse
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from scenarios.catalogue import SCENARIOS, make
from scenarios.scoring import PRECISION, RECALL, SURE, Score, score

from tracer.correlate.join import JoinOptions, join

HEAD = (
    f"{'scenario':<24}{'packets':>8}{'rows':>9}{'precision':>11}{'recall':>9}{'alike':>8}"
    f"{'mixed':>7}{'silent':>8}{'alarms':>8}{'sure':>9}{'order':>8}{'replies':>8}"
    f"{'quotes':>8}{'repeats':>8}{'lost':>8}{'not lost':>9}{'clock µs':>12}{'s':>7}  result"
)


def share(value: float, digits: int = 4) -> str:
    """Return a share cut, not rounded, so that 1.0000 means all."""
    if math.isnan(value):
        return "-"
    return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f}"


def line(s: Score, seconds: float) -> str:
    """Return a scenario's row of the table."""
    result = "pass" if s.passed else "FAIL: " + ", ".join(s.problems)
    return (
        f"{s.scenario:<24}{s.packets:>8}{s.rows:>9}{share(s.precision, 5):>11}"
        f"{share(s.recall):>9}{s.indistinguishable:>8}{s.mixed:>7}{share(s.silent, 3):>8}"
        f"{share(s.false_alarms):>8}{share(s.sure_right, 5):>9}{share(s.order_right):>8}"
        f"{share(s.replies_found):>8}{share(s.quotes_right):>8}{share(s.repeats_right):>8}"
        f"{share(s.losses_found):>8}{s.losses_wrong:>9}{s.clock_error_ns / 1000:>12.1f}"
        f"{seconds:>7.2f}  {result}"
    )


def measure(name: str, seed: int, scale: float) -> bool:
    """Print a scenario's row and return whether it passed."""
    scenario = make(name, seed, scale)
    start = time.perf_counter()
    result = join(scenario.batch, scenario.conntrack, JoinOptions())
    found = score(scenario, result)
    print(line(found, time.perf_counter() - start), flush=True)
    return found.passed


def main() -> int:
    """Run the scenarios asked for and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    print(
        f"required: precision {PRECISION}, recall {RECALL}, of joins claimed at {SURE} {SURE} right"
    )
    print(HEAD)
    names = options.scenario or list(SCENARIOS)
    passed = [measure(name, options.seed, options.scale) for name in names]
    print(f"{sum(passed)} of {len(passed)} scenarios pass")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
