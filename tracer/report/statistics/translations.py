"""Translations seen: which addresses became which, where, how often, and on what evidence."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import decode_ip
from tracer.core.changes import parent_rows
from tracer.core.enums import Cause, Evidence
from tracer.core.journeys import JourneySet
from tracer.core.nat_rules.matching import rules_at, rules_of
from tracer.core.nat_rules.rule import NatRule
from tracer.core.nat_rules.seen import path_steps
from tracer.core.rows import Rows, values_at
from tracer.report.columns import distinct_values
from tracer.report.statistics.places import Places, hop_places

_UNDONE = (Cause.UN_SNAT, Cause.UN_DNAT, Cause.UN_SNAT_UN_DNAT)
_PORTS = ("sport", "dport", "icmp_id")


@dataclass(frozen=True, slots=True)
class Translation:
    """Addresses that became others between two places; `undone` for replies on their way back.

    `ports` counts packets whose port or echo identifier changed as well; `evidence` counts the
    packets by what their join rests on, strongest first. `rules` are those recorded that may have
    done it, of replies those that are undone; `is_inferred`: from captures that share no packet.
    """

    cause: str
    undone: bool
    origin: int
    target: int
    before: tuple[str | None, str | None]
    after: tuple[str | None, str | None]
    packets: int
    flows: int
    ports: int
    evidence: tuple[tuple[str, int], ...]
    rules: tuple[NatRule, ...] = ()
    is_inferred: bool = False


def translations_of(journey_set: JourneySet, places: Places) -> list[Translation]:
    """Return the translations, those on the way out first, then by packets."""
    found = [*_seen(journey_set, places), *_inferred(journey_set, places)]
    return sorted(found, key=lambda each: (each.undone, -each.packets))


def _seen(journey_set: JourneySet, places: Places) -> list[Translation]:
    hops, rule_codes, rule_sets = rules_at(journey_set)
    if not len(hops):
        return []
    parents = parent_rows(journey_set, hops)
    rows = journey_set.hops["row"][hops]
    codes, keys = _distinct(journey_set, places, hops, rows, parents)
    flows = journey_set.journeys["flow"][journey_set.hops["journey"][hops]]
    pairs = np.unique(np.stack([codes, flows]), axis=1)[0]
    count = len(keys)
    packets, by_flow = np.bincount(codes, minlength=count), np.bincount(pairs, minlength=count)
    ports = np.bincount(codes[_ports_changed(journey_set, rows, parents)], minlength=count)
    evidence = _evidence(journey_set.hops["evidence"][hops], codes, count)
    rules: list[dict[int, None]] = [{} for _ in keys]
    for at, code in np.unique(np.stack([codes, rule_codes]), axis=1).T.tolist():
        rules[at] |= dict.fromkeys(rule_sets[code])
    return [
        replace(
            _translation(key, packets[at], by_flow[at], ports[at], evidence[at]),
            rules=tuple(journey_set.nat_rules[number] for number in rules[at]),
        )
        for at, key in enumerate(keys)
    ]


def _inferred(journey_set: JourneySet, places: Places) -> Iterator[Translation]:
    # In flow paths: there is no journey from the one form to the other.
    seen, steps = path_steps(journey_set)
    rules = rules_of(journey_set.nat_rules, seen, journey_set.observations.points)
    for (_, before, after), numbers in zip(steps, rules, strict=True):
        changed = [(getattr(before, name), getattr(after, name)) for name in _PORTS]
        ports = any(None not in pair and pair[0] != pair[1] for pair in changed)
        yield Translation(
            after.cause.label, after.cause in _UNDONE, int(places.of_point[before.point]),
            int(places.of_point[after.point]), (before.src, before.dst), (after.src, after.dst),
            len(after.rows), 1, len(after.rows) if ports else 0,
            ((after.join or "inferred", len(after.rows)),),
            tuple(journey_set.nat_rules[number] for number in numbers), is_inferred=True,
        )  # fmt: skip


def _distinct(
    journey_set: JourneySet, places: Places, hops: Rows, rows: Rows, parents: Rows
) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    batch = journey_set.observations
    at = hop_places(journey_set, places)
    first = journey_set.journeys["first_hop"][journey_set.hops["journey"][hops]]
    origin = at[first + journey_set.hops["parent"][hops] - 1]
    cause = journey_set.hops["cause"][hops].astype(np.int64)
    ends = [
        part
        for where in (parents, rows)
        for name in ("src", "dst")
        for part in values_at(batch, name, where)
    ]
    return distinct_values((cause, origin, at[hops], *ends))


def _translation(
    key: tuple[int, ...], packets: int, flows: int, ports: int, evidence: Any
) -> Translation:
    cause, origin, target, *ends = key
    texts = [decode_ip(hi, lo) for hi, lo in zip(ends[::2], ends[1::2], strict=True)]
    return Translation(
        Cause(cause).label, cause in _UNDONE, origin, target, (texts[0], texts[1]),
        (texts[2], texts[3]), int(packets), int(flows), int(ports), evidence,
    )  # fmt: skip


def _ports_changed(journey_set: JourneySet, rows: Rows, parents: Rows) -> NDArray[np.bool_]:
    changed = np.zeros(len(rows), np.bool_)
    for name in _PORTS:
        (before,) = values_at(journey_set.observations, name, parents)
        (after,) = values_at(journey_set.observations, name, rows)
        changed |= (before != after) & (before >= 0) & (after >= 0)
    return changed


def _evidence(
    evidence: NDArray[Any], codes: NDArray[np.int64], count: int
) -> list[tuple[tuple[str, int], ...]]:
    counts = np.zeros((count, max(Evidence) + 1), np.int64)
    np.add.at(counts, (codes, evidence.astype(np.int64)), 1)
    return [
        tuple((Evidence(word).label, int(number)) for word, number in enumerate(row) if number)
        for row in counts
    ]
