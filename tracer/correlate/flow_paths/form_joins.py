"""Which forms of flows belong together: those that one translation makes of the same packets."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import combinations, product

from tracer.core.address import encode_ip
from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.core.journeys import FlowPathJoin
from tracer.correlate.conntrack.entry_times import lifetimes_of
from tracer.correlate.flow_paths.form_fits import Proven, fit
from tracer.correlate.flow_paths.forms import JoinedForms
from tracer.correlate.flow_paths.sightings import FlowKey, Sighting
from tracer.correlate.flow_paths.travel import Passage

MAX_CANDIDATES = 200  # pings to one server that are still compared with each other
CROWDED = "too many pings to the same server to tell a rewritten one by its period"


def join_forms(
    flows: Sequence[JoinedForms],
    ttls: dict[Sighting, Passage],
    offsets: dict[str, float],
    conntrack: Sequence[ConntrackEntry] = (),
) -> list[JoinedForms]:
    """Return the flows with those put together that one translation makes of the same packets.

    A flow is joined when exactly one other fits, and it fits exactly one; otherwise all stay apart
    and say what they might be. `offsets` are ns to add to a clock's stamps.
    """
    proven: Proven = {}
    for life in lifetimes_of(conntrack):
        pair = _key_of(life.entry.original), _key_of(life.entry.reply.reversed())
        proven.setdefault(pair, []).append(life)
    fits: dict[int, list[tuple[int, FlowPathJoin]]] = {}
    pairs, crowded = _pairs(flows, proven)
    near: dict[int, list[int]] = {}
    for one, other in pairs:
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    for one, other in pairs:
        join = fit(flows, (one, other), near, ttls, offsets, proven)
        if join is not None:
            fits.setdefault(one, []).append((other, join))
            fits.setdefault(other, []).append((one, join))
    _prefer_proof(fits)
    joined: list[JoinedForms] = []
    for index, flow in enumerate(flows):
        found = fits.get(index, [])
        if len(found) == 1 and len(fits[found[0][0]]) == 1:
            if index < found[0][0]:
                joined.append(_together(flow, flows[found[0][0]], found[0][1]))
        elif found:
            texts = tuple(f"several flows fit, none is taken: {join.text}" for _, join in found)
            joined.append(replace(flow, ambiguities=texts))
        else:
            joined.append(replace(flow, ambiguities=(CROWDED,) if index in crowded else ()))
    return joined


# What a translation leaves alone, the server or the client, two forms of a flow have in common.
def _pairs(flows: Sequence[JoinedForms], proven: Proven) -> tuple[list[tuple[int, int]], set[int]]:
    common: dict[Hashable, list[int]] = {}
    by_key: dict[FlowKey, list[int]] = {}
    for index, flow in enumerate(flows):
        for key in (form.key for form in flow.forms):
            by_key.setdefault(key, []).append(index)
            if key.is_icmp:
                common.setdefault((key.proto, key.server), []).append(index)
                common.setdefault((key.proto, key.client, key.client_port), []).append(index)
    groups = [sorted(set(group)) for group in common.values()]
    crowded = {index for group in groups if len(group) > MAX_CANDIDATES for index in group}
    small = [group for group in groups if len(group) <= MAX_CANDIDATES]
    pairs = {pair for group in small for pair in combinations(group, 2)}
    for one, other in proven:
        both = product(by_key.get(one, ()), by_key.get(other, ()))
        pairs |= {(min(pair), max(pair)) for pair in both if pair[0] != pair[1]}
    return sorted(pairs), crowded


# Where the kernel says which form it was, the others are no candidates.
def _prefer_proof(fits: dict[int, list[tuple[int, FlowPathJoin]]]) -> None:
    proofs = {
        index: [fit for fit in found if fit[1].evidence == "conntrack"]
        for index, found in fits.items()
    }
    for index, found in fits.items():
        fits[index] = proofs[index] or [fit for fit in found if not proofs[fit[0]]]


def _together(one: JoinedForms, other: JoinedForms, join: FlowPathJoin) -> JoinedForms:
    return JoinedForms(one.forms + other.forms, (*one.joins, *other.joins, join))


def _key_of(way: Tuple) -> FlowKey:
    is_icmp = way.proto in (1, 58)
    port = way.icmp_id if is_icmp else way.sport
    server_port = -1 if is_icmp else way.dport
    return FlowKey(
        way.proto, encode_ip(way.src), encode_ip(way.dst),
        -1 if port is None else port, -1 if server_port is None else server_port,
    )  # fmt: skip
