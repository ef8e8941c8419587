"""How right a correlator's journeys are: counted from group sizes, so linear in rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.scenario import Scenario, Truth
from tracer.core.journeys import NO_TIME, JourneySet

PRECISION, RECALL, CALIBRATION = 0.9995, 0.995, 0.99
SURE = 0.99
FALSE_ALARMS = 0.005  # of the journeys that can be told apart, called ambiguous
SILENT = 0.01  # of the wrong joins where nothing tells packets apart, not called ambiguous


@dataclass(frozen=True, slots=True)
class Score:
    """Shares between 0 and 1, nan where nothing was counted.

    `precision` and `recall`: pairs of rows in one journey, among rows that can be told apart.
    `sure_right`: of joins claimed at SURE or more. `false_alarms`: journeys called ambiguous that
    are not. `silent`: of journeys that mix packets nothing tells apart, not called ambiguous.
    `order_right`: joins whose earlier hop was crossed earlier. `clock_error_ns`: largest error
    between two points after correction; `clock_beyond`: clocks off by more than they said.
    """

    scenario: str
    rows: int
    packets: int
    indistinguishable: int
    precision: float
    recall: float
    sure_joins: int
    sure_right: float
    false_alarms: float
    mixed: int
    silent: float
    order_right: float
    negative: int
    replies_found: float
    replies_wrong: int
    clock_error_ns: float
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything that is required holds."""
        return not self.problems


def score(scenario: Scenario, result: JourneySet) -> Score:
    """Return how a result compares with the truth."""
    truth, hops = scenario.truth, result.hops
    journey_of = np.full(len(scenario.batch), -1, np.int64)
    journey_of[hops["row"]] = hops["journey"]
    missing = np.flatnonzero(journey_of < 0)
    claimed = journey_of.copy()
    claimed[missing] = len(result.journeys) + np.arange(len(missing))
    precision, recall = pairwise(claimed, truth.packet, truth.distinguishable)
    parts = {
        "precision": precision,
        "recall": recall,
        **_joins(truth, result),
        **_ambiguity(truth, result),
        **_replies(truth, result),
        "clock_error_ns": _clock_error(scenario, result),
    }
    problems = _problems(parts, len(hops), len(np.unique(hops["row"])), len(scenario.batch))
    return Score(
        scenario.name,
        len(scenario.batch),
        len(np.unique(truth.packet)),
        int((~truth.distinguishable).sum()),
        problems=tuple(problems),
        **parts,  # type: ignore[arg-type]
    )


def pairs(groups: NDArray[np.int64]) -> int:
    """Return how many pairs of rows share a group number."""
    _, counts = np.unique(groups, return_counts=True)
    return int((counts * (counts - 1) // 2).sum())


def pairwise(
    claimed: NDArray[np.int64], truth: NDArray[np.int64], told: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return precision and recall of pairs in one group; pairs of rows not `told` do not count."""
    both = (claimed - claimed.min(initial=0)) * (int(truth.max(initial=0)) + 1) + truth
    hit = pairs(both) - pairs(both[~told])
    said = pairs(claimed) - pairs(claimed[~told])
    real = pairs(truth[told])
    right = pairs(both[told])
    return hit / said if said else 1.0, right / real if real else 1.0


def _joins(truth: Truth, result: JourneySet) -> dict[str, float | int]:
    hops = result.hops
    later = np.flatnonzero(hops["parent"] > 0)
    first = result.journeys["first_hop"][hops["journey"][later]]
    parent = hops["row"][first + hops["parent"][later] - 1]
    row = hops["row"][later]
    right = truth.packet[parent] == truth.packet[row]
    sure = hops["confidence"][later] >= SURE
    ahead = truth.place[parent] <= truth.place[row]
    delta = hops["delta_ns"][later]
    return {
        "sure_joins": int(sure.sum()),
        "sure_right": _share(right[sure]),
        "order_right": _share(ahead[right]),
        "negative": int(((delta < 0) & (delta != NO_TIME)).sum()),
    }


def _share(which: NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else float("nan")


def _ambiguity(truth: Truth, result: JourneySet) -> dict[str, float | int]:
    hops, n = result.hops, len(result.journeys)
    told = np.ones(n, bool)
    np.logical_and.at(told, hops["journey"], truth.distinguishable[hops["row"]])
    low = np.full(n, np.iinfo(np.int64).max)
    high = np.full(n, -1)
    np.minimum.at(low, hops["journey"], truth.packet[hops["row"]])
    np.maximum.at(high, hops["journey"], truth.packet[hops["row"]])
    flagged = result.journeys["ambiguous"] == 1
    mixed = ~told & (low != high)
    return {
        "false_alarms": _share(flagged[told]),
        "mixed": int(mixed.sum()),
        "silent": _share(~flagged[mixed]),
    }


# Of exchanges seen at both ends of the truth, how many were named; and how many were named wrong.
def _replies(truth: Truth, result: JourneySet) -> dict[str, float | int]:
    journeys, hops = result.journeys, result.hops
    if not len(journeys):
        return {"replies_found": float("nan"), "replies_wrong": 0}
    packet = truth.packet[hops["row"][journeys["first_hop"]]]
    told = truth.distinguishable[hops["row"][journeys["first_hop"]]]
    replying = truth.reply_of[packet] >= 0
    seen = replying & told & np.isin(truth.reply_of[packet], packet)
    linked = journeys["request"] >= 0
    named = np.where(linked, packet[journeys["request"]], -1)
    right = named == truth.reply_of[packet]
    return {
        "replies_found": _share((linked & right)[seen]),
        "replies_wrong": int((seen & linked & ~right).sum()),
    }


def _clock_error(scenario: Scenario, result: JourneySet) -> float:
    hops, truth = result.hops, scenario.truth
    error = hops["time_ns"] - truth.true_ns[hops["row"]]
    point = scenario.batch.packets["point"][hops["row"]]
    middle = [np.median(error[point == p]) for p in np.unique(point)]
    return float(max(middle) - min(middle)) if middle else float("nan")


def _problems(parts: dict[str, float | int], hops: int, unique: int, rows: int) -> list[str]:
    found = []
    if hops != unique:
        found.append(f"{hops - unique} rows are in two hops")
    if unique != rows:
        found.append(f"{rows - unique} rows are in no hop")
    if parts["precision"] < PRECISION:
        found.append("precision")
    if parts["recall"] < RECALL:
        found.append("recall")
    if parts["sure_right"] < CALIBRATION:
        found.append("calibration")
    if parts["false_alarms"] > FALSE_ALARMS:
        found.append("false alarms")
    if parts["silent"] > SILENT:
        found.append("silent guesses")
    if parts["negative"]:
        found.append("negative hop times")
    return found
