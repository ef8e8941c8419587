"""Two situations side by side: what was before, and what is now.

Places are the same where host, namespace and device are; flows where protocol, addresses and the
served port are (the other port and echo identifiers differ from run to run).
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tracer.core.address import decode_ip
from tracer.core.journeys import JourneySet
from tracer.core.protocols import protocol_name
from tracer.report.statistics.figures import Figures, figures_of
from tracer.report.statistics.places import hop_places
from tracer.report.statistics.segments import Segment

_ORDER = ("more loss", "slower", "gone", "new", "less loss", "faster", "")
SLOWER, SLOWER_NS, LOSSIER, FEWEST = 1.5, 10_000, 0.01, 5


@dataclass(frozen=True, slots=True)
class SegmentPair:
    """One segment before and now, None where it was not there; `verdict` says how they differ."""

    origin: str
    target: str
    before: Segment | None
    now: Segment | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Flows with equal protocol, addresses and served port: packets, lost, translations, ways."""

    name: str
    packets: int
    lost: int
    translated: tuple[str, ...]
    way: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Segments that both or one situation has, and what became of each conversation."""

    segments: tuple[SegmentPair, ...]
    new: tuple[Conversation, ...]
    gone: tuple[Conversation, ...]
    rerouted: tuple[tuple[Conversation, Conversation], ...]
    retranslated: tuple[tuple[Conversation, Conversation], ...]
    outcomes: tuple[tuple[str, int, int], ...]
    journeys: tuple[int, int]


def comparison_of(before: JourneySet, now: JourneySet) -> Comparison:
    """Return how two sets differ, what changed most first."""
    figures = figures_of(before), figures_of(now)
    old, new = (_conversations(*pair) for pair in zip((before, now), figures, strict=True))
    both = [(old[name], new[name]) for name in new if name in old]
    words = {word: None for each in figures for word in each.outcomes}
    return Comparison(
        tuple(_segments(*figures)),
        tuple(each for name, each in new.items() if name not in old),
        tuple(each for name, each in old.items() if name not in new),
        tuple((a, b) for a, b in both if a.way != b.way),
        tuple((a, b) for a, b in both if a.translated != b.translated),
        tuple((w, figures[0].outcomes.get(w, 0), figures[1].outcomes.get(w, 0)) for w in words),
        (len(before.journeys), len(now.journeys)),
    )


def _segments(before: Figures, now: Figures) -> list[SegmentPair]:
    old, new = _named(before), _named(now)
    pairs = [
        SegmentPair(*ends, old.get(ends), new.get(ends), _verdict(old.get(ends), new.get(ends)))
        for ends in dict.fromkeys([*new, *old])
    ]
    return sorted(
        pairs, key=lambda pair: (_ORDER.index(pair.verdict.partition(",")[0]), -_weight(pair))
    )


def _named(figures: Figures) -> dict[tuple[str, str], Segment]:
    labels = [*(place.label for place in figures.places.places), "beyond"]
    return {(labels[each.origin], labels[each.target]): each for each in figures.segments}


def _weight(pair: SegmentPair) -> int:
    return sum(each.packets for each in (pair.before, pair.now) if each)


def _verdict(before: Segment | None, now: Segment | None) -> str:
    if before is None:
        return "new"
    if now is None:
        return "gone"
    words = []
    if abs(now.loss - before.loss) >= LOSSIER:
        words.append("more loss" if now.loss > before.loss else "less loss")
    if min(before.timed, now.timed) >= FEWEST:
        slow, fast = max(before.p50_ns, now.p50_ns), min(before.p50_ns, now.p50_ns)
        if slow > SLOWER * fast and slow - fast >= SLOWER_NS:
            words.append("slower" if now.p50_ns > before.p50_ns else "faster")
    return ", ".join(words)


def _conversations(journey_set: JourneySet, figures: Figures) -> dict[str, Conversation]:
    ways = _usual_ways(journey_set, figures)
    found: dict[str, list[int]] = {}
    for index, flow in enumerate(figures.flows):
        if flow.original.src is not None:
            found.setdefault(_conversation_name(journey_set, flow.flow - 1), []).append(index)
    result = {}
    for name, members in found.items():
        flows = [figures.flows[index] for index in members]
        translated = {
            f"{flow.translated.src} → {flow.translated.dst}" for flow in flows if flow.translated
        }
        counted = Counter[tuple[str, ...]]()
        for flow in flows:
            counted[ways.get(flow.flow - 1, ())] += flow.journeys
        result[name] = Conversation(
            name, sum(flow.journeys for flow in flows), sum(flow.lost for flow in flows),
            tuple(sorted(translated)), counted.most_common(1)[0][0],
        )  # fmt: skip
    return result


def _conversation_name(journey_set: JourneySet, index: int) -> str:
    record = journey_set.flows[index]
    src, dst = (
        decode_ip(int(record[f"{end}_hi"]), int(record[f"{end}_lo"])) for end in ("src", "dst")
    )
    port = f" port {record['dport']}" if record["dport"] >= 0 else ""
    return f"{protocol_name(int(record['proto']))} {src} → {dst}{port}"


def _usual_ways(journey_set: JourneySet, figures: Figures) -> dict[int, tuple[str, ...]]:
    # The way most of a flow's requests went that arrived.
    journeys = journey_set.journeys
    chosen = np.flatnonzero((journeys["request"] < 0) & (journeys["flow"] >= 0))
    pairs = np.stack([journeys["flow"][chosen], figures.ways.of_journey[chosen]])
    distinct, counts = np.unique(pairs, axis=1, return_counts=True)
    at = hop_places(journey_set, figures.places)
    usual: dict[int, tuple[str, ...]] = {}
    for index in np.argsort(counts, kind="stable").tolist():
        flow, way = distinct[:, index].tolist()
        record = journeys[figures.ways.example[way]]
        hops = at[record["first_hop"] : record["first_hop"] + record["n_hops"]]
        usual[flow] = tuple(figures.places.places[place].label for place in hops if place >= 0)
    return usual
