"""Flow paths: what captures that share no packet say together, as engineers take them by hand.

Per flow and direction the points in travel order, each with what the flow looked like there. Joins
between forms of a flow before and after NAT are inferred and say on what numbers they rest.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.core.address import decode_ip, decode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.enums import Cause
from tracer.core.journeys import ClockEstimate, FlowPath, FlowPathHop
from tracer.correlate.forms import JoinedForms, forms_of, join_forms
from tracer.correlate.offsets import estimate_clocks
from tracer.correlate.periods import fit_line, samples_of
from tracer.correlate.sightings import find_sightings
from tracer.correlate.travel import Passage, cause_between, order_passages, own_macs, passage

UNDATED_NS = 366 * 86_400 * 1_000_000_000  # stamps in 1970 are times of day without a date
MAX_TRANSLATIONS = 4  # in a row, of one flow
CLOCK_LIMIT_NS = 100_000_000
_SAME_MOMENT_NS = 5_000_000_000
_LASTING = ("proto", "icmp_type", "ip_id", "icmp_seq", "tcp_seq", "tcp_ack", "payload_len",
            "payload_digest")  # fmt: skip


def needs_flow_paths(batch: ObservationBatch) -> bool:
    """Return whether journeys cannot be made because no two captures share a packet.

    That is: captures at two or more points, none of which overlap in time (stamps without a date
    prove no overlap), and no packet that survives forwarding and NAT alike in two.
    """
    packets = batch.packets
    if len(packets) == 0 or np.all(packets["point"] == packets["point"][0]):
        return False
    known = packets["time_ns"] >= 0
    is_dated = bool(np.any(packets["time_ns"] > UNDATED_NS))
    # One transcript may hold several captures, one a point.
    place = packets["capture"].astype(np.int64) * (len(batch.points) + 1) + packets["point"] + 1
    if is_dated and _overlaps(place[known], packets["time_ns"][known]):
        return False
    return not _shares_packets(packets)


def _overlaps(place: Any, times: Any) -> bool:
    count = int(place.max()) + 1
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, -1, np.int64)
    np.minimum.at(first, place, times)
    np.maximum.at(last, place, times)
    order = np.argsort(first[last >= 0])
    first, last = first[last >= 0][order], last[last >= 0][order]
    return bool(np.any(first[1:] <= np.maximum.accumulate(last)[:-1]))


# Equal in all that forwarding and NAT leave alone, in two captures at two points.
def _shares_packets(packets: Any) -> bool:
    telling = (packets["ip_id"] > 0) | (packets["payload_digest"] != 0)
    telling |= (packets["icmp_seq"] >= 0) | (packets["tcp_seq"] >= 0)
    rows = np.flatnonzero(telling)
    keys = np.zeros(len(rows), np.uint64)
    for name in _LASTING:
        keys = (keys ^ packets[name][rows].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    order = np.argsort(keys, kind="stable")
    same = np.diff(keys[order]) == 0
    one, other = rows[order][:-1][same], rows[order][1:][same]
    elsewhere = packets["point"][one] != packets["point"][other]
    # Without an IP id, only what was seen at about the same time is the same packet.
    apart = np.abs(packets["time_ns"][one] - packets["time_ns"][other])
    is_strong = (packets["ip_id"][one] > 0) & (packets["payload_len"][one] >= 0)
    shared = int(np.count_nonzero(elsewhere & (is_strong | (apart <= _SAME_MOMENT_NS))))
    return shared * 1000 >= max(len(packets), 1)


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
