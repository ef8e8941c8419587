"""Which recorded rules may have done a translation: what they ask for against what was seen.

Rules are taken in the order the kernel asks them in (netfilter's nat tables: the first that fits
ends the search). One whose conditions packets cannot show (marks, sets, chance) may have fitted, so
it is named and the search goes on.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.journeys import JourneySet
from tracer.core.nat_rules.rule import (
    SOURCE_ACTIONS,
    TARGET_ACTIONS,
    Condition,
    NatRule,
    Network,
    Range,
)
from tracer.core.nat_rules.seen import DNATS, SNATS, distinct, nat_hops, seen_at
from tracer.core.point import Point
from tracer.core.rows import Rows
from tracer.core.schema import StructuredArray

Answers = NDArray[np.int8]
NO, MAYBE, YES = np.int8(0), np.int8(1), np.int8(2)


def rules_of(
    rules: Sequence[NatRule], seen: StructuredArray, points: Sequence[Point]
) -> list[tuple[int, ...]]:
    """Return for each translation (SEEN_DTYPE) the rules that may have done it, by index.

    Rules of the namespaces before and after come first; those of others count only where the
    translation lies between two namespaces. None fits: an empty tuple.
    """
    found: list[list[int]] = [[] for _ in range(len(seen))]
    for is_near in (True, False):
        alone = np.array([not numbers for numbers in found], np.bool_)
        # Of each namespace's hook: the translations whose rule may still come.
        waiting: dict[tuple[str | None, str | None, str], NDArray[np.bool_]] = {}
        for number, rule in enumerate(rules):
            scope = (rule.host, rule.netns, rule.hook)
            if scope not in waiting:
                waiting[scope] = alone & _is_there(rule, seen, points, near=is_near)
            asked = waiting[scope]
            if not asked.any():
                continue
            at = np.flatnonzero(asked)
            answers = _answers(rule, seen[at], points)
            asked[at[answers == YES]] = False
            for place in at[answers > NO].tolist():
                found[place].append(number)
    return [tuple(numbers) for numbers in found]


def rules_at(journey_set: JourneySet) -> tuple[Rows, NDArray[np.int64], list[tuple[int, ...]]]:
    """Return the set's translated hops, a code for each, and the rules (indices) of each code."""
    hops = nat_hops(journey_set)
    if not journey_set.nat_rules:
        return hops, np.zeros(len(hops), np.int64), [()]
    seen, codes = distinct(seen_at(journey_set, hops))
    return hops, codes, rules_of(journey_set.nat_rules, seen, journey_set.observations.points)


def rules_of_hop(journey_set: JourneySet, hop: int) -> tuple[NatRule, ...]:
    """Return the rules that may have done the translation before a hop (its index), often none."""
    hops, codes, found = rules_at(journey_set)
    at = np.flatnonzero(hops == hop)
    return tuple(journey_set.nat_rules[rule] for code in codes[at] for rule in found[code])


def _is_there(
    rule: NatRule, seen: StructuredArray, points: Sequence[Point], *, near: bool
) -> NDArray[np.bool_]:
    here = _of_points(points, lambda point: _is_of(rule, point))
    is_near: NDArray[np.bool_] = here[seen["origin"]] | here[seen["target"]]
    if near:
        return is_near
    on_host = _of_points(points, lambda point: rule.host is None or point.host in (None, rule.host))
    spaces: dict[tuple[str | None, str | None], int] = {}
    codes = [spaces.setdefault((point.host, point.netns), len(spaces)) for point in points]
    space = np.array(codes or [0])
    between = space[seen["origin"]] != space[seen["target"]]
    reached: NDArray[np.bool_] = on_host[seen["origin"]] | on_host[seen["target"]]
    far: NDArray[np.bool_] = ~is_near & between & reached
    return far


def _of_points(points: Sequence[Point], holds: Callable[[Point], bool]) -> NDArray[np.bool_]:
    return np.array([holds(point) for point in points] or [False], np.bool_)


def _is_of(rule: NatRule, point: Point) -> bool:
    # What one of the two does not know does not tell them apart.
    hosts, spaces = {rule.host, point.host} - {None}, {rule.netns, point.netns} - {None}
    return len(hosts) < 2 and len(spaces) < 2


def _answers(rule: NatRule, seen: StructuredArray, points: Sequence[Point]) -> Answers:
    if rule.action in SOURCE_ACTIONS:
        answer = np.where(np.isin(seen["cause"], SNATS), YES, NO)
        end = "src"
    else:
        answer = np.where(np.isin(seen["cause"], DNATS), YES, NO)
        end = "dst"
    if rule.hook == "output":  # packets that came in by a device do not pass it
        answer = np.where(seen["iif"] >= 0, NO, answer)
    if rule.to:
        answer = np.minimum(answer, _in_networks(seen, f"after_{end}", rule.to))
    elif rule.action in ("snat", "dnat") and rule.to_ports is None:
        answer = np.minimum(answer, MAYBE)  # where it goes was not recorded
    if rule.to_ports is not None:
        ports = seen["after_sport" if end == "src" else "after_dport"]
        answer = np.minimum(answer, _in_ranges(ports, (rule.to_ports,)))
    for condition in rule.conditions:
        answer = np.minimum(answer, _holds(condition, rule, seen, points))
    return np.minimum(answer, MAYBE) if rule.is_open else answer


def _holds(
    condition: Condition, rule: NatRule, seen: StructuredArray, points: Sequence[Point]
) -> Answers:
    field, values = condition.field, condition.pairs
    if field in ("iif", "oif"):
        found = _has_device(seen[field], condition.names, points)
    elif field == "proto":
        found = _in_ranges(seen["proto"], values)
    else:
        # Destinations are translated before routing, sources after it.
        is_late = rule.action not in TARGET_ACTIONS and field in ("dst", "dport")
        name = f"{'after' if is_late else 'before'}_{field}"
        is_port = field in ("sport", "dport")
        found = _in_ranges(seen[name], values) if is_port else _in_networks(seen, name, values)
    return YES - found if condition.inverted else found


def _in_networks(seen: StructuredArray, name: str, networks: Sequence[Network]) -> Answers:
    hi, lo = seen[f"{name}_hi"], seen[f"{name}_lo"]
    found = np.zeros(len(seen), np.bool_)
    for address, length in networks:
        mask = ((1 << length) - 1) << (128 - length)
        mask_hi, mask_lo = np.uint64(mask >> 64), np.uint64(mask & NULL_U64)
        same = (hi & mask_hi) == np.uint64(address >> 64)
        found |= same & ((lo & mask_lo) == np.uint64(address & NULL_U64))
    unknown = (hi == NULL_U64) & (lo == NULL_U64)
    return np.where(unknown, MAYBE, np.where(found, YES, NO))


def _in_ranges(values: NDArray[np.signedinteger], ranges: Sequence[Range]) -> Answers:
    found = np.zeros(len(values), np.bool_)
    for least, most in ranges:
        found |= (values >= least) & (values <= most)
    return np.where(values < 0, MAYBE, np.where(found, YES, NO))


def _has_device(at: NDArray[np.int32], names: Sequence[str], points: Sequence[Point]) -> Answers:
    # A device that was watched and is another one is no; one nobody watched may lie between.
    watched = {point.device for point in points}
    is_watched = all(not name.endswith("*") and name in watched for name in names)
    table = np.full(len(points) + 1, MAYBE, np.int8)
    for number, point in enumerate(points):
        if point.device is None:
            continue
        fits = any(
            point.device.startswith(name[:-1]) if name.endswith("*") else point.device == name
            for name in names
        )
        table[number] = YES if fits else NO if is_watched else MAYBE
    return table[at]
