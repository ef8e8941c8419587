"""DataFrames of flows, of their paths point by point, of flow paths and clocks."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tracer.api import columns, series
from tracer.api.frames import directions, labelled, points, protocols, words
from tracer.core.enums import LOST, Cause, Evidence, Outcome
from tracer.core.journeys import NO_TIME, FlowPath, FlowPathHop, JourneySet, untimed
from tracer.core.protocols import protocol_name
from tracer.core.rows import Rows
from tracer.core.schema import BY_NAME
from tracer.core.values import hop_indices
from tracer.core.ways import ways_of
from tracer.report.columns import observation_column, place_value, point_column
from tracer.report.roles import point_label, role_of
from tracer.report.segment_table import WAYS
from tracer.report.statistics.flow_segments import FlowSegments
from tracer.report.statistics.flows import times_of
from tracer.report.statistics.quantiles import QUANTILES, grouped_quantiles
from tracer.report.statistics.times import round_trips

_P50, _P90, _P99, _MAX = (QUANTILES.index(each) for each in (0.5, 0.9, 0.99, 1.0))


def flows_frame(journey_set: JourneySet, numbers: Rows) -> pd.DataFrame:
    """Return `columns.FLOWS` of the flows that the journeys at the given indices belong to."""
    journeys = journey_set.journeys[numbers]
    journeys = journeys[journeys["flow"] >= 0]
    chosen, codes = np.unique(journeys["flow"], return_inverse=True)
    flows = journey_set.flows[chosen]
    arrays: dict[str, Any] = {
        "flow": series.integers(chosen.astype(np.int64) + 1, "Int64"),
        "proto": protocols(flows["proto"]),
        "ip_version": series.integers(flows["ip_version"], "Int8", flows["ip_version"] < 0),
        "translated": _translated(flows),
    }
    for prefix in ("", "nat_"):
        arrays |= {f"{prefix}{name}": _end(flows, prefix, name) for name in ("src", "dst")}
        for name in ("sport", "dport", "icmp_id"):
            values = flows[f"{prefix}{name}"]
            arrays[f"{prefix}{name}"] = series.integers(values, "Int32", values < 0)
    arrays |= _counts(journeys, codes, len(chosen))
    arrays |= _durations(journey_set, numbers, chosen)
    return series.frame(columns.FLOWS, arrays)


def path_frame(journey_set: JourneySet, numbers: Rows, flow: int | None = None) -> pd.DataFrame:
    """Return `columns.PATHS`: a row for each flow, way and point, of one flow where given.

    A point that packets pass twice, as a router that sends back where it came from, has two rows.
    """
    ways = ways_of(journey_set)
    of_flow = journey_set.journeys["flow"][numbers]
    wanted = (ways[numbers] >= 0) if flow is None else (of_flow == flow - 1) & (ways[numbers] >= 0)
    journeys = numbers[wanted]
    hops = hop_indices(journey_set.journeys[journeys])
    records = journey_set.hops[hops]
    owner = journey_set.journeys["flow"][records["journey"]].astype(np.int64)
    key, width = _visits(journey_set, records)
    key += (owner * 2 + ways[records["journey"]]) * width
    keys, first, codes = np.unique(key, return_index=True, return_inverse=True)
    groups = np.stack([keys // width // 2, keys // width % 2])
    count = len(keys)
    mean_n = np.bincount(codes, records["n"], count) / np.maximum(np.bincount(codes), 1)
    order = np.lexsort((mean_n, groups[1], groups[0]))
    groups, first = groups[:, order], hops[first[order]]
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    arrays = _group_arrays(journey_set, groups, first)
    arrays |= _group_figures(journey_set, journeys, hops, place[codes], count)
    return series.frame(columns.PATHS, arrays)


def segments_frame(journey_set: JourneySet, numbers: Rows) -> pd.DataFrame:
    """Return `columns.SEGMENTS`: a row for each flow, way and pair of neighbouring points."""
    segments = FlowSegments()
    segments.add(journey_set, numbers)
    found = segments.table()
    labels = [point_label(point) for point in segments.points]
    arrays: dict[str, Any] = {
        "flow": series.integers(found["flow"] + 1, "Int64", found["flow"] < 0),
        "way": words(WAYS, found["way"]),
        "n": series.integers(found["n"], "Int64"),
        "from_point": words(labels, found["from_point"]),
        "to_point": words(labels, found["to_point"]),
        "loss": found["lost"] / np.maximum(found["packets"] + found["lost"], 1),
        **{name: found[name] for name in ("packets", "lost", "missed", "resent", "reordered")},
        **{name: series.deltas(found[f"{name}_ns"]) for name in ("p50", "p90", "p99", "max")},
    }
    return series.frame(columns.SEGMENTS, arrays)


def _visits(journey_set: JourneySet, records: Any) -> tuple[Rows, int]:
    # The point of each hop, told apart where a packet passes one twice (in and out of one device),
    # and a number above all of them.
    point = journey_set.observations.packets["point"][records["row"]].astype(np.int64)
    width = max(len(journey_set.observations.points), 1)
    key = records["journey"] * width + point
    order = np.argsort(key, kind="stable")
    starts = np.diff(key[order], prepend=-1) != 0
    since = np.arange(len(key)) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
    visit = np.empty(len(key), np.int64)
    visit[order] = since
    return visit * width + point, width * (int(visit.max(initial=0)) + 1)


def flow_paths_frame(journey_set: JourneySet) -> pd.DataFrame:
    """Return `columns.FLOW_PATHS`: a row for each capture a flow path passes."""
    records = [
        _flow_path_record(journey_set, number, path, hop)
        for number, path in enumerate(journey_set.flow_paths, 1)
        for hop in path.hops
    ]
    for before, record in zip([None, *records], records, strict=False):
        same = before is not None and all(before[k] == record[k] for k in ("flow_path", "way"))
        record["n"] = before["n"] + 1 if before is not None and same else 1
    return series.frame_of_records(columns.FLOW_PATHS, records)


def clocks_frame(journey_set: JourneySet) -> pd.DataFrame:
    """Return `columns.CLOCKS`, a row each clock."""
    records = [
        {
            "clock": each.clock, "host": each.host, "offset": each.offset_ns,
            "uncertainty": each.uncertainty_ns, "drift_ppm": each.drift_ppm,
            "samples": each.samples, "evidence": each.evidence,
        }
        for each in journey_set.clocks
    ]  # fmt: skip
    return series.frame_of_records(columns.CLOCKS, records)


def _translated(flows: Any) -> NDArray[np.bool_]:
    ends = ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "icmp_id")
    differs = np.zeros(len(flows), np.bool_)
    for name in ends:
        differs |= flows[name] != flows[f"nat_{name}"]
    return differs


def _end(flows: Any, prefix: str, name: str) -> Any:
    halves = (flows[f"{prefix}{name}_hi"], flows[f"{prefix}{name}_lo"])
    return series.stored(BY_NAME[name], halves, columns.CATEGORY)


def _counts(journeys: Any, codes: Rows, count: int) -> dict[str, Any]:
    first, last = times_of(journeys, codes, count)

    def of(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(codes[chosen], minlength=count)

    return {
        "journeys": np.bincount(codes, minlength=count),
        "delivered": of(journeys["outcome"] == Outcome.DELIVERED),
        "lost": of(np.isin(journeys["outcome"], LOST)),
        "ambiguous": of(journeys["ambiguous"] > 0),
        "retransmitted": of(journeys["retransmission_of"] >= 0),
        "first_time": series.times(first),
        "last_time": series.times(last),
    }


def _durations(journey_set: JourneySet, numbers: Rows, chosen: Rows) -> dict[str, Any]:
    journeys = journey_set.journeys
    taken = journeys["last_ns"] - journeys["first_ns"]
    is_timed = (journeys["outcome"] == Outcome.DELIVERED) & (journeys["n_hops"] > 1) & (taken >= 0)
    is_timed &= ~untimed(journeys)
    at = numbers[is_timed[numbers] & (journeys["flow"][numbers] >= 0)]
    requests, trips = round_trips(journey_set)
    kept = np.isin(requests, numbers) & (journeys["flow"][requests] >= 0)
    found: dict[str, Any] = {}
    for name, owners, values in (
        ("transit", at, taken[at]),
        ("rtt", requests[kept], trips[kept]),
    ):
        codes = np.searchsorted(chosen, journeys["flow"][owners])
        quantiles = grouped_quantiles(codes, values, len(chosen))
        found[f"{name}_p50"] = series.quantile_deltas(quantiles[:, _P50])
        found[f"{name}_p99"] = series.quantile_deltas(quantiles[:, _P99])
    return found


def _group_arrays(journey_set: JourneySet, groups: Rows, first: Rows) -> dict[str, Any]:
    # What tells the points of a path, and what the first packet looked like there.
    batch = journey_set.observations
    rows = journey_set.hops["row"][first]
    records = journey_set.hops[first]
    starts = np.flatnonzero(np.any(np.diff(groups, axis=1, prepend=-9) != 0, axis=0))
    lengths = np.diff(np.append(starts, groups.shape[1]))
    codes = batch.packets["point"][rows]
    arrays: dict[str, Any] = {
        "flow": series.integers(groups[0].astype(np.int64) + 1, "Int64"),
        "way": words(("request", "reply"), groups[1]),
        "n": series.integers(np.arange(len(rows)) - np.repeat(starts, lengths) + 1, "Int64"),
        "point": points(batch, rows),
    }
    for name in ("host", "netns", "device"):
        arrays[name] = series.categories(point_column(batch.points, codes, place_value(name)))
    arrays["role"] = series.categories(point_column(batch.points, codes, role_of))
    arrays["direction"] = directions(records["direction"])
    arrays["cause"] = labelled(Cause, records["cause"], none=Cause.NONE)
    for name in ("src", "dst"):
        arrays[name] = series.categories(observation_column(batch, name, rows))
    for name, dtype in (("sport", "Int32"), ("dport", "Int32"), ("icmp_id", "Int32"),
                        ("ttl", "Int16"), ("vlan", "Int16")):  # fmt: skip
        values = batch.packets[name][rows]
        arrays[name] = series.integers(values, dtype, values < 0)
    return arrays


def _group_figures(
    journey_set: JourneySet, journeys: Rows, hops: Rows, codes: Rows, count: int
) -> dict[str, Any]:
    records = journey_set.hops[hops]
    seen = np.unique(codes * len(journey_set.journeys) + records["journey"])
    packets = np.bincount(seen // max(len(journey_set.journeys), 1), minlength=count)
    lost = _lost(journey_set, journeys, hops, codes, count)
    timed = (records["delta_ns"] != NO_TIME) & (records["parent"] > 0)
    quantiles = grouped_quantiles(codes[timed], records["delta_ns"][timed], count)
    weakest = np.full(count, -1)
    joined = records["parent"] > 0
    np.maximum.at(weakest, codes[joined], records["evidence"][joined])
    return {
        "packets": packets,
        "lost": lost,
        "loss": lost / np.maximum(packets, 1),
        "p50": series.quantile_deltas(quantiles[:, _P50]),
        "p90": series.quantile_deltas(quantiles[:, _P90]),
        "p99": series.quantile_deltas(quantiles[:, _P99]),
        "max": series.quantile_deltas(quantiles[:, _MAX]),
        "evidence": labelled(Evidence, weakest),
    }


def _lost(
    journey_set: JourneySet, journeys: Rows, hops: Rows, codes: Rows, count: int
) -> NDArray[np.int64]:
    # A packet is lost after the hop of its that was seen at the point its outcome names.
    outcomes = journey_set.journeys[journeys]
    at = np.repeat(np.isin(outcomes["outcome"], LOST), outcomes["n_hops"])
    where = np.repeat(outcomes["outcome_point"], outcomes["n_hops"])
    point = journey_set.observations.packets["point"][journey_set.hops["row"][hops]]
    found = at & (point == where)
    owner = np.repeat(np.arange(len(journeys)), outcomes["n_hops"])[found]
    _, last = np.unique(owner[::-1], return_index=True)
    return np.bincount(codes[found][::-1][last], minlength=count)


def _flow_path_record(
    journey_set: JourneySet, number: int, path: FlowPath, hop: FlowPathHop
) -> dict[str, Any]:
    batch = journey_set.observations
    same = ("ttl", "src", "sport", "dst", "dport", "icmp_id", "first_seq", "last_seq",
            "src_mac", "dst_mac", "vlan", "join", "reason")  # fmt: skip
    return {
        "flow_path": number,
        "flow": path.flow,
        "proto": protocol_name(path.proto),
        "way": hop.direction,
        "point": point_label(batch.points[hop.point]),
        "capture": batch.captures[hop.capture] if hop.capture >= 0 else None,
        "packets": len(hop.rows),
        "first_time": hop.first_ns,
        "last_time": hop.last_ns,
        "cause": hop.cause.label if hop.cause is not Cause.NONE else None,
        **{name: getattr(hop, name) for name in same},
    }
