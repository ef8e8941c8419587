"""Flow paths: what captures that share no packet say together, as engineers take them by hand.

Per flow and direction the points in travel order, each with what the flow looked like there. Joins
between forms of a flow before and after NAT are inferred and say on what numbers they rest.
"""

from collections.abc import Sequence
from typing import Any

from tracer.core.address import decode_ip, decode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.enums import Cause
from tracer.core.journeys import ClockEstimate, FlowPath, FlowPathHop
from tracer.correlate.flow_paths.form_joins import join_forms
from tracer.correlate.flow_paths.forms import JoinedForms, forms_of
from tracer.correlate.flow_paths.offsets import estimate_clocks
from tracer.correlate.flow_paths.periods import fit_line, samples_of
from tracer.correlate.flow_paths.sightings import find_sightings
from tracer.correlate.flow_paths.travel import (
    Passage,
    cause_between,
    order_passages,
    own_macs,
    passage,
)

MAX_TRANSLATIONS = 4  # in a row, of one flow
CLOCK_LIMIT_NS = 100_000_000


def flow_paths(
    batch: ObservationBatch, conntrack: Sequence[ConntrackEntry] = ()
) -> tuple[list[FlowPath], list[ClockEstimate]]:
    """Return the flow paths of a batch in order of first stamp, and what was found about clocks.

    An entry of `conntrack` is the proof of a translation; without one, ICMP ids and numbers are
    what it is inferred from. Stamps in the paths are as captured: add a clock's offset to compare.
    """
    sightings = find_sightings(batch)
    macs = own_macs(batch)
    requests = {s: passage(batch, s, "request") for s in sightings if len(s.requests)}
    flows = [JoinedForms((form,)) for form in forms_of(sightings)]
    clocks = list(dict.fromkeys(sighting.clock for sighting in sightings))
    estimates = estimate_clocks([flow.sightings for flow in flows], clocks)
    # Joins lengthen lines, lines tell clocks, and clocks allow joins.
    for _ in range(MAX_TRANSLATIONS):
        before = len(flows)
        flows = join_forms(flows, requests, _offsets(estimates), conntrack)
        estimates = estimate_clocks([flow.sightings for flow in flows], clocks)
        if len(flows) == before:
            break
    paths = [_path(batch, flow, macs, _offsets(estimates)) for flow in flows]
    return sorted(paths, key=lambda path: path.hops[0].first_ns), estimates


# Clocks whose offset is not known well enough take no part in inference.
def _offsets(estimates: Sequence[ClockEstimate]) -> dict[str, float]:
    return {
        e.clock: float(e.offset_ns)
        for e in estimates
        if e.uncertainty_ns is not None and e.uncertainty_ns <= CLOCK_LIMIT_NS
    }


def _path(
    batch: ObservationBatch, flow: JoinedForms, macs: dict[int, int], offsets: dict[str, float]
) -> FlowPath:
    hops: list[FlowPathHop] = []
    inferences = [join.text for join in flow.joins]
    for direction in ("request", "reply"):
        passages = [passage(batch, sighting, direction) for sighting in flow.sightings]
        ordered, is_decided = order_passages([p for p in passages if len(p.rows)], macs)
        if not is_decided:
            inferences.append(f"the order of the {direction} hops is not proven: equal or no TTLs")
        hops += _hops(batch, ordered, flow)
    for sighting in flow.sightings:
        if sighting.placed:
            frames = ", ".join(str(batch.packets["frame"][row]) for row in sighting.placed)
            name = batch.captures[sighting.capture]
            inferences.append(f"frame {frames} of {name} has no addresses: placed by ICMP id alone")
    line = fit_line(samples_of([s for s in flow.sightings if s.clock in offsets], offsets))
    names = list(dict.fromkeys(form.key.name for form in _in_hop_order(flow, hops)))
    return FlowPath(
        " → ".join(names), flow.forms[0].key.proto, tuple(hops), tuple(inferences),
        None if line is None else round(line.period_ns), flow.joins, flow.ambiguities,
    )  # fmt: skip


def _in_hop_order(flow: JoinedForms, hops: Sequence[FlowPathHop]) -> list[Any]:
    number = {(hop.capture, hop.point): n for n, hop in reversed(list(enumerate(hops)))}
    return sorted(flow.forms, key=lambda form: min(number[place] for place in form.places))


def _hops(
    batch: ObservationBatch, ordered: Sequence[Passage], flow: JoinedForms
) -> list[FlowPathHop]:
    hops: list[FlowPathHop] = []
    for number, each in enumerate(ordered):
        before = ordered[number - 1] if number else None
        join, reason = (None, None) if before is None else _why(before, each, flow)
        hops.append(_hop(batch, each, before, join, reason))
    return hops


def _why(before: Passage, after: Passage, flow: JoinedForms) -> tuple[str, str]:
    one, other = before.sighting.key, after.sighting.key
    if one == other:
        return "five-tuple", "same addresses and id or ports, numbers and times of one run"
    for join in flow.joins:
        if {join.before, join.after} == {one.name, other.name}:
            return ("conntrack" if join.evidence == "conntrack" else "inferred"), join.text
    return "inferred", "; ".join(join.text for join in flow.joins)


def _hop(
    batch: ObservationBatch, each: Passage, before: Passage | None, join: str | None,
    reason: str | None,
) -> FlowPathHop:  # fmt: skip
    rows = each.rows
    packets = batch.packets[rows]
    times, numbers = packets["time_ns"], packets["icmp_seq"]
    key, is_reply = each.sighting.key, each.direction == "reply"
    client, server = decode_ip(*key.client), decode_ip(*key.server)
    ports = (None, None) if key.is_icmp else (key.client_port, key.server_port)
    vlans = packets["vlan"][packets["vlan"] >= 0]
    return FlowPathHop(
        point=each.sighting.point,
        capture=each.sighting.capture,
        rows=tuple(int(row) for row in rows),
        direction=each.direction,
        first_ns=int(times.min()),
        last_ns=int(times.max()),
        join=join,
        reason=reason,
        cause=Cause.NONE if before is None else cause_between(before, each),
        ttl=each.ttl,
        src=server if is_reply else client,
        dst=client if is_reply else server,
        sport=ports[is_reply],
        dport=ports[not is_reply],
        icmp_id=key.client_port if key.is_icmp else None,
        first_seq=int(numbers.min()) if key.is_icmp else None,
        last_seq=int(numbers.max()) if key.is_icmp else None,
        src_mac=None if each.src_mac is None else decode_mac(each.src_mac),
        dst_mac=None if each.dst_mac is None else decode_mac(each.dst_mac),
        vlan=int(vlans[0]) if len(vlans) else None,
        placed=tuple(row for row in each.sighting.placed if row in rows),
    )
