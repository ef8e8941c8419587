"""How right a correlator's journeys are: counted from group sizes, so linear in rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.scenario import Scenario, Truth
from tracer.core.enums import Outcome
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.core.schema import StructuredArray

PRECISION, RECALL, CALIBRATION = 0.9995, 0.995, 0.99
SURE = 0.99
ENOUGH_SURE = 100  # joins of which one may be wrong; fewer are judged with those of all scenarios
SLACK_NS = 20_000  # stamping noise, which no estimate promises to see through
FALSE_ALARMS = 0.005  # of the journeys that can be told apart, called ambiguous
SILENT = 0.01  # of the wrong joins where nothing tells packets apart, not called ambiguous


@dataclass(frozen=True, slots=True)
class Score:
    """Shares between 0 and 1, nan where nothing was counted.

    `precision` and `recall`: pairs of rows in one journey, among rows that can be told apart.
    `sure_right`: of joins claimed at SURE or more. `false_alarms`: journeys called ambiguous that
    are not. `silent`: of journeys that mix packets nothing tells apart, not called ambiguous.
    `order_right`: joins whose earlier hop was crossed earlier. `quotes_right`, `repeats_right`: of
    ICMP errors and retransmissions, those that name their packet. `losses_found`: of packets lost
    between points, those said to have vanished after the right one; `losses_wrong`: journeys said
    to have vanished though the network delivered them. `clock_error_ns`: largest error between two
    points after correction; `clock_beyond`: pairs of clocks off by more than they said.
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
    quotes_right: float
    repeats_right: float
    losses_found: float
    losses_wrong: int
    clock_error_ns: float
    clock_beyond: int
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
        **_links(truth, result),
        **_losses(truth, result),
        **_clocks(scenario, result),
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


def claims(
    truth: Truth, result: JourneySet
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    """Return of each join the confidence it claims and whether it is right, and the joined hops."""
    hops = result.hops
    later = np.flatnonzero(hops["parent"] > 0)
    first = result.journeys["first_hop"][hops["journey"][later]]
    parent = hops["row"][first + hops["parent"][later] - 1]
    right = truth.packet[parent] == truth.packet[hops["row"][later]]
    return hops["confidence"][later], right, later


def _joins(truth: Truth, result: JourneySet) -> dict[str, float | int]:
    hops = result.hops
    confidence, right, later = claims(truth, result)
    first = result.journeys["first_hop"][hops["journey"][later]]
    parent, row = hops["row"][first + hops["parent"][later] - 1], hops["row"][later]
    sure = confidence >= SURE
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


def _links(truth: Truth, result: JourneySet) -> dict[str, float | int]:
    journeys, packet, told = _firsts(truth, result)
    shares = {}
    for name, true, column in (
        ("quotes_right", truth.quotes, "quotes"),
        ("repeats_right", truth.retransmission_of, "retransmission_of"),
    ):
        to = true[packet]
        due = told & (to >= 0) & np.isin(to, packet)
        linked = journeys[column] >= 0
        named = np.where(linked, packet[journeys[column]], -1)
        shares[name] = _share((named == to)[due])
    return dict(shares)


def _firsts(
    truth: Truth, result: JourneySet
) -> tuple[StructuredArray, NDArray[np.int64], NDArray[np.bool_]]:
    first = result.hops["row"][result.journeys["first_hop"]]
    return result.journeys, truth.packet[first], truth.distinguishable[first]


# Only journeys in one piece say where a packet was lost.
def _losses(truth: Truth, result: JourneySet) -> dict[str, float | int]:
    journeys, packet, told = _firsts(truth, result)
    whole = told & (np.bincount(packet, minlength=len(truth.lost_after))[packet] == 1)
    lost = truth.lost_after[packet]
    vanished = journeys["outcome"] == Outcome.VANISHED
    at = journeys["outcome_point"] == lost
    seen_last = _seen_last(result, lost)
    return {
        "losses_found": _share((vanished & at)[whole & (lost >= 0) & seen_last]),
        "losses_wrong": int((vanished & whole & (lost < 0)).sum()),
    }


# Whether a journey ends at a point, or one of the pieces of its datagram does.
def _seen_last(result: JourneySet, at: NDArray[np.int64]) -> NDArray[np.bool_]:
    journeys, p = result.journeys, result.observations.packets
    rows, firsts = result.hops["row"], journeys["first_hop"]
    seen: NDArray[np.bool_] = p["point"][rows[firsts + journeys["n_hops"] - 1]] == at
    if (p["frag_offset"] > 0).any():
        in_pieces = np.logical_or.reduceat(p["frag_offset"][rows] > 0, firsts)
        there = p["point"][rows] == np.repeat(at, journeys["n_hops"])
        seen |= in_pieces & np.logical_or.reduceat(there, firsts)
    return seen


def _clocks(scenario: Scenario, result: JourneySet) -> dict[str, float | int]:
    hops, truth = result.hops, scenario.truth
    error = hops["time_ns"] - truth.true_ns[hops["row"]]
    point = scenario.batch.packets["point"][hops["row"]]
    seen = np.unique(point)
    if not len(hops):
        return {"clock_error_ns": float("nan"), "clock_beyond": 0}
    # A hundredth each side may be stamping noise.
    ends = {int(p): np.percentile(error[point == p], (1, 50, 99)) for p in seen}
    said = {c.clock: c.uncertainty_ns for c in result.clocks}
    named = [(ends[int(p)][1], said.get(scenario.batch.points[p].clock_name)) for p in seen]
    beyond = 0
    for i, (a, wide_a) in enumerate(named):
        for b, wide_b in named[:i]:
            if wide_a is not None and wide_b is not None:
                beyond += abs(a - b) > wide_a + wide_b + SLACK_NS
    spread = max(e[2] for e in ends.values()) - min(e[0] for e in ends.values())
    return {"clock_error_ns": float(spread), "clock_beyond": beyond}


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
    if parts["quotes_right"] < RECALL:
        found.append("quotes")
    if parts["repeats_right"] < RECALL:
        found.append("repeats")
    if parts["sure_joins"] >= ENOUGH_SURE and parts["sure_right"] < CALIBRATION:
        found.append("calibration")
    if parts["false_alarms"] > FALSE_ALARMS:
        found.append("false alarms")
    if parts["silent"] > SILENT:
        found.append("silent guesses")
    if parts["negative"]:
        found.append("negative hop times")
    if parts["clock_beyond"]:
        found.append("clock uncertainty")
    return found
