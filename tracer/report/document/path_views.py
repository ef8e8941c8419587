"""Flow paths as the page shows them: what captures that share no packet say together."""

from collections.abc import Iterator
from dataclasses import dataclass

from tracer.core.journeys import FlowPath, FlowPathHop, JourneySet
from tracer.core.protocols import protocol_name
from tracer.report.document.map_layout import Way
from tracer.report.statistics.places import Place, Places, places_of
from tracer.report.words import cause_word

_FIELDS = (
    ("ttl", "TTL"), ("src", "source"), ("dst", "destination"), ("sport", "source port"),
    ("dport", "destination port"), ("icmp_id", "id"), ("src_mac", "src MAC"),
    ("dst_mac", "dst MAC"), ("vlan", "VLAN"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HopView:
    """A row of a flow path: place, what was seen, and what changed since the row above."""

    n: int
    direction: str
    place: Place
    first_ns: int
    packets: int
    ends: tuple[str, str]
    ttl: int | None
    changes: tuple[str, ...]
    join: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class PathView:
    """A flow path with its hops and the sentences that say what is inferred."""

    flow: str
    proto: str | None
    period_ns: int | None
    hops: tuple[HopView, ...]
    inferences: tuple[str, ...]
    ambiguities: tuple[str, ...]


def path_views(journey_set: JourneySet) -> list[PathView]:
    """Return the flow paths of a set, ready to be shown."""
    places = places_of(journey_set.observations.points)
    return [
        PathView(
            path.flow, protocol_name(path.proto), path.period_ns, tuple(_hops(path, places)),
            path.inferences, path.ambiguities,
        )
        for path in journey_set.flow_paths
    ]  # fmt: skip


def path_ways(journey_set: JourneySet, places: Places) -> list[Way]:
    """Return the places each flow path passes, in order; empty where there is no flow path."""
    ways: list[Way] = []
    for path in journey_set.flow_paths:
        for direction in ("request", "reply"):
            hops = [hop for hop in path.hops if hop.direction == direction]
            if hops:
                number = min(len(hop.rows) for hop in hops)
                ways.append(([int(places.of_point[hop.point]) for hop in hops], max(1, number)))
    return ways


def _hops(path: FlowPath, places: Places) -> Iterator[HopView]:
    for direction in ("request", "reply"):
        before = None
        hops = (hop for hop in path.hops if hop.direction == direction)
        for number, hop in enumerate(hops, 1):
            yield HopView(
                number, direction, places.places[int(places.of_point[hop.point])], hop.first_ns,
                len(hop.rows), (hop.src or "?", hop.dst or "?"), hop.ttl,
                tuple(_changes(before, hop)), hop.join, hop.reason,
            )  # fmt: skip
            before = hop


def _changes(before: FlowPathHop | None, hop: FlowPathHop) -> Iterator[str]:
    if before is None:
        return
    if hop.cause:
        yield cause_word(hop.cause.label)
    for name, word in _FIELDS:
        old, new = getattr(before, name), getattr(hop, name)
        is_tag = name == "vlan" and before.dst_mac is not None and hop.dst_mac is not None
        if old != new and (is_tag or None not in (old, new)):
            old, new = ("none" if value is None else value for value in (old, new))
            yield f"{word} {old}→{new}"
