"""What the DataFrames hold: each column's name, dtype and meaning, once.

The frames are built from these tables, their docstrings and the documentation print them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tracer.core.observation import OBSERVATION_FIELDS, PLACE_FIELDS
from tracer.core.schema import BY_NAME, Column

TIME, DELTA = "datetime64[ns, UTC]", "timedelta64[ns]"
CATEGORY, TEXT, FLAG = "category", "str", "boolean"
_INTS = {"i1": "Int8", "i2": "Int16", "i4": "Int32", "i8": "Int64"}
_Read = TypeVar("_Read", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """One column of a DataFrame; integers and flags are nullable, unknown is `<NA>` or `NaT`."""

    name: str
    dtype: str
    doc: str


def _table(*rows: tuple[str, str, str]) -> tuple[FrameColumn, ...]:
    return tuple(FrameColumn(*row) for row in rows)


_PLACES = {
    "host": "host it was seen on",
    "netns": "network namespace",
    "device": "device; `direction` is relative to it",
    "direction": "`ingress` or `egress` of the device",
    "hook": "netfilter hook, where it was seen at none of a device's ends",
    "clock": "clock that stamped it, one a host unless told otherwise",
    "capture": "file or engine it was read from",
}


def observation_dtype(column: Column) -> str:
    """Return the dtype of a stored column in a DataFrame."""
    if column.name == "proto" or column.kind in ("ip", "mac", "enum"):
        return CATEGORY
    return {"bool": FLAG, "digest": TEXT}.get(column.kind) or _INTS[column.dtype]


def _observation(name: str) -> FrameColumn:
    if name in _PLACES:
        return FrameColumn(name, CATEGORY, _PLACES[name])
    if name == "time_ns":
        return FrameColumn("time", TIME, "time stamp as its clock gave it")
    if name == "proto":
        return FrameColumn(name, CATEGORY, "protocol by name, or its number as text")
    return FrameColumn(name, observation_dtype(BY_NAME[name]), BY_NAME[name].doc)


_POINT = FrameColumn("point", CATEGORY, "observation point: host/netns/device, or the hook")
OBSERVATIONS = (_POINT, *(_observation(name) for name in OBSERVATION_FIELDS))

JOURNEYS = _table(
    ("journey", "Int64", "its number, the same in every output"),
    ("exchange", "Int64", "journey its exchange begins with: a packet, its replies, errors on it"),
    ("flow", "Int64", "flow it belongs to, both directions"),
    ("way", CATEGORY, "`request` in the direction of the flow's addresses, else `reply`"),
    ("proto", CATEGORY, "protocol by name, or its number as text"),
    ("kind", CATEGORY, "what kind of packet: `echo-request`, `tcp-syn`, `arp-reply` …"),
    ("first_time", TIME, "time at its first hop, clocks aligned"),
    ("last_time", TIME, "time at its last hop, clocks aligned"),
    ("transit", DELTA, "from its first hop to its last"),
    ("hops", "Int64", "how many hops it has"),
    ("outcome", CATEGORY, "`delivered`, `dropped`, `vanished`, `unfinished` …"),
    ("outcome_at", CATEGORY, "observation point it ended at"),
    ("reason", CATEGORY, "why it ended there, in the kernel's words or tracer's"),
    ("reply", "Int64", "journey that answers it"),
    ("request", "Int64", "journey it answers"),
    ("retransmission_of", "Int64", "earlier journey with the same bytes, or some of them"),
    ("quotes", "Int64", "journey whose packet this ICMP error quotes"),
    (
        "ambiguous",
        "bool",
        "a join had several equal candidates, or packets beyond NAT may be it",
    ),
    ("duplicates", "Int64", "further copies at one point; each is also a hop"),
)

_STEPS = _table(
    ("journey", "Int64", "journey it belongs to"),
    ("n", "Int64", "its place in the journey, from 1"),
    ("parent", "Int64", "`n` of the hop it came from; none at a first hop"),
    ("flow", "Int64", "the journey's flow"),
    ("kind", CATEGORY, "the journey's kind of packet"),
    ("outcome", CATEGORY, "the journey's outcome"),
    ("point", CATEGORY, _POINT.doc),
    ("role", CATEGORY, "what the device is in Neutron, told from its name: `qr`, `rfp`, `tap` …"),
    ("time", TIME, "time it was seen, clocks aligned"),
    ("delta", DELTA, "time since the hop it came from; `NaT` where clocks cannot say"),
    ("cause", CATEGORY, "why it differs from that hop: `forwarded`, `snat`, `un-snat` …"),
    ("changes", TEXT, "what differs, as a JSON array; `changes` has it a row each"),
    (
        "evidence",
        CATEGORY,
        "what joins it: `skb`, `conntrack`, `fingerprint`, `renumbered`, `sequence`",
    ),
    ("candidates", "Int64", "packets that could have been this hop"),
    ("confidence", "float64", "probability that the join is right"),
    ("observation", "int64", "its row of `observations` (their index)"),
)
_TAKEN = {column.name for column in _STEPS}
#: The steps' own columns, then those of the observation; `direction` is inferred where not given.
HOPS = (*_STEPS, *(column for column in OBSERVATIONS if column.name not in _TAKEN))

CHANGES = _table(
    ("journey", "Int64", "journey it happened to"),
    ("n", "Int64", "hop after the change"),
    ("flow", "Int64", "the journey's flow"),
    ("point", CATEGORY, "observation point after the change"),
    ("netns", CATEGORY, "network namespace of that point"),
    ("device", CATEGORY, "device of that point"),
    ("time", TIME, "when it was seen there, clocks aligned"),
    ("field", CATEGORY, "column that changed"),
    ("before", TEXT, "its value at the hop before, as text; none where a header is new"),
    ("after", TEXT, "its value at this hop, as text; none where a header is gone"),
    ("cause", CATEGORY, "why: `snat`, `dnat`, `un-snat`, `forwarded`, `encapsulated` …"),
    ("evidence", CATEGORY, "what joins the two hops"),
    ("rule", CATEGORY, "recorded NAT rule that did it or is undone; several with ` or `"),
)

_ENDS = _table(
    ("src", CATEGORY, "source address, in the direction of the first packet, before NAT"),
    ("sport", "Int32", "source port"),
    ("dst", CATEGORY, "destination address"),
    ("dport", "Int32", "destination port"),
    ("icmp_id", "Int32", "echo identifier"),
)
FLOWS = (
    *_table(
        ("flow", "Int64", "its number"),
        ("proto", CATEGORY, "protocol by name, or its number as text"),
        ("ip_version", "Int8", "4 or 6"),
    ),
    *_ENDS,
    *(
        FrameColumn(f"nat_{column.name}", column.dtype, f"`{column.name}` after the last NAT")
        for column in _ENDS
    ),
    *_table(
        ("translated", "bool", "whether NAT rewrote anything"),
        ("journeys", "int64", "packets, both directions"),
        ("delivered", "int64", "of these, delivered"),
        ("lost", "int64", "of these, dropped or vanished"),
        ("ambiguous", "int64", "of these, with several equal candidates for a join, or beyond NAT"),
        ("retransmitted", "int64", "of these, sent again"),
        ("first_time", TIME, "its first packet"),
        ("last_time", TIME, "its last packet"),
        ("transit_p50", DELTA, "median time from first to last hop of its delivered packets"),
        ("transit_p99", DELTA, "99th percentile of the same"),
        ("rtt_p50", DELTA, "median time until the reply was back where the request began"),
        ("rtt_p99", DELTA, "99th percentile of the same"),
    ),
)

PATHS = _table(
    ("flow", "Int64", "flow"),
    ("way", CATEGORY, "`request` in the direction of the flow's addresses, else `reply`"),
    ("n", "Int64", "place of the point on the way, from 1"),
    ("point", CATEGORY, _POINT.doc),
    ("host", CATEGORY, _PLACES["host"]),
    ("netns", CATEGORY, _PLACES["netns"]),
    ("device", CATEGORY, _PLACES["device"]),
    ("direction", CATEGORY, _PLACES["direction"]),
    ("role", CATEGORY, "what the device is in Neutron, told from its name"),
    ("packets", "int64", "packets of the flow seen there"),
    ("lost", "int64", "of these, not seen after it, though they should have been"),
    ("loss", "float64", "`lost` as a part of `packets`"),
    ("p50", DELTA, "median time since the hop before"),
    ("p90", DELTA, "90th percentile of the same"),
    ("p99", DELTA, "99th percentile of the same"),
    ("max", DELTA, "the longest"),
    ("ttl", "Int16", "TTL or hop limit there; this and what follows are the first packet's"),
    ("src", CATEGORY, "source address there"),
    ("sport", "Int32", "source port there"),
    ("dst", CATEGORY, "destination address there"),
    ("dport", "Int32", "destination port there"),
    ("icmp_id", "Int32", "echo identifier there"),
    ("vlan", "Int16", "outermost VLAN id there"),
    ("cause", CATEGORY, "why it differs from the hop before"),
    ("evidence", CATEGORY, "weakest evidence of its joins to the hop before"),
)

SEGMENTS = _table(
    ("flow", "Int64", "flow"),
    ("way", CATEGORY, "`request` in the direction of the flow's addresses, else `reply`"),
    ("n", "Int64", "place of the segment on the way, from 1"),
    ("from_point", CATEGORY, "observation point it begins at"),
    ("to_point", CATEGORY, "observation point it ends at; none beyond the last that saw packets"),
    ("packets", "int64", "packets that came to its end"),
    ("lost", "int64", "packets seen at its beginning, not at its end, that should have been"),
    ("loss", "float64", "`lost` as a part of those that left"),
    ("missed", "int64", "packets seen no further because the capture at its end missed them"),
    ("resent", "int64", "packets that repeat TCP bytes lost here"),
    ("reordered", "int64", "packets overtaken here by one that left later (RFC 4737)"),
    ("p50", DELTA, "median time from its beginning to its end"),
    ("p90", DELTA, "90th percentile of the same"),
    ("p99", DELTA, "99th percentile of the same"),
    ("max", DELTA, "the longest"),
)

FLOW_PATHS = _table(
    ("flow_path", "int64", "number of the flow path, from 1"),
    ("flow", TEXT, "the flow in words, before NAT and after"),
    ("proto", CATEGORY, "protocol by name, or its number as text"),
    ("way", CATEGORY, "`request` or `reply`"),
    ("n", "int64", "place of the point on the way, from 1"),
    ("point", CATEGORY, _POINT.doc),
    ("capture", CATEGORY, _PLACES["capture"]),
    ("packets", "int64", "packets of the flow in that capture"),
    ("first_time", TIME, "the first of them, as its clock stamped it"),
    ("last_time", TIME, "the last of them"),
    ("ttl", "Int64", "TTL or hop limit there"),
    ("src", CATEGORY, "source address there"),
    ("sport", "Int64", "source port there"),
    ("dst", CATEGORY, "destination address there"),
    ("dport", "Int64", "destination port there"),
    ("icmp_id", "Int64", "echo identifier there"),
    ("first_seq", "Int64", "echo sequence number of the first"),
    ("last_seq", "Int64", "echo sequence number of the last"),
    ("src_mac", CATEGORY, "source MAC there"),
    ("dst_mac", CATEGORY, "destination MAC there"),
    ("vlan", "Int64", "outermost VLAN id there"),
    ("cause", CATEGORY, "why it differs from the hop before"),
    ("join", CATEGORY, "what joins it to the hop before: `conntrack`, `five-tuple`, `inferred`"),
    ("reason", TEXT, "the rule and numbers behind the join"),
)

CLOCKS = _table(
    ("clock", TEXT, "name of the clock"),
    ("host", TEXT, "host it stamps for"),
    ("offset", DELTA, "what was added to its stamps"),
    (
        "uncertainty",
        DELTA,
        "how far from that packets allow it to be; `NaT` where unbounded",
    ),
    ("drift_ppm", "float64", "its drift against the reference, millionths"),
    ("samples", "int64", "packets the estimate rests on"),
    (
        "evidence",
        TEXT,
        "`stamps` where nothing contradicted them, `one-way` where one side only bounds the offset",
    ),
)

FRAMES = {
    "observations": OBSERVATIONS,
    "journeys": JOURNEYS,
    "hops": HOPS,
    "changes": CHANGES,
    "flows": FLOWS,
    "path": PATHS,
    "segments": SEGMENTS,
    "flow_paths": FLOW_PATHS,
    "clocks": CLOCKS,
}
assert set(PLACE_FIELDS) <= set(_PLACES)


def markdown_table(columns: tuple[FrameColumn, ...]) -> str:
    """Return the columns as a Markdown table, a line each."""
    lines = ["| column | dtype | meaning |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {each.dtype} | {each.doc} |" for each in columns]
    return "\n".join(lines)


def documented(frame: str) -> Callable[[_Read], _Read]:
    """Add the table of a frame's columns to the docstring of what returns the frame."""

    def add(function: _Read) -> _Read:
        function.__doc__ = f"{function.__doc__}\n\n{markdown_table(FRAMES[frame])}\n"
        return function

    return add
