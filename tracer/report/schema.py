"""JSON Schema (2020-12) of what the commands write: a journey, an observation, the summary."""

from typing import Any

from tracer.core.enums import Cause, Decode, Encap, Evidence, Kind, Label, Outcome
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.schema import BY_NAME
from tracer.report.keys import HOP_KEYS
from tracer.report.segment_table import SEGMENT_COLUMNS, WAYS
from tracer.report.summary import FLOW_PATH_VALUES

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PLACE = {
    "host": "host the packet was seen on",
    "netns": "network namespace",
    "device": "device; direction is relative to it",
    "direction": "ingress or egress of the device",
    "hook": "netfilter hook, where there is no device: after its NAT, or `output-before-nat` and"
    " `postrouting-before-nat` where a packet that the host itself sends is first seen; with a"
    " device, where a rule logged the packet (NFLOG)",
    "clock": "clock that stamped the packet, one a host unless told otherwise",
    "capture": "file or engine it was read from",
}
_COUNTS = {
    "journeys": "packets, each followed over all observation points",
    "unjoined": "of these, journeys of one hop",
    "ambiguous": "of these, journeys with several equal candidates for a join, or beyond NAT",
    "shown": "of these, journeys that were written (filter, `--count`)",
    "hops": "hops of all journeys",
    "duplicates": "further copies of packets at one point, as from a SPAN port; each is also a hop",
    "exchanges": "packets that were answered, each with its replies and errors about it",
    "flows": "flows, both directions and all translations of one counted once",
}
_LOST = (
    "lost by tracer, not by the network: `ring_full` events that found no room in the buffer,"
    " `map_full` flows and packets in flight that found none in the maps, `unreadable` packets"
    " whose headers could not be read, `hooks_skipped` calls of a hook that the kernel left out,"
    " for that hook was at work on the same CPU when an interrupt came, `capture_dropped` packets"
    " that captures say they dropped"
)
_JSON_TYPES = {"int": "integer", "bool": "boolean"}  # every other kind is text
_ENUMS: dict[str, type[Label]] = {"decode": Decode, "encap": Encap}
_SCHEMA = {"const": 1, "description": "the schema number"}
_LIVE = "`tracer follow` alone"
_EVENTS = (
    f"{_LIVE}: packets seen, matched and sent by hooks, and `frees_skipped`: calls of the hook that"
    " only tells when a buffer is free, left out as in `hooks_skipped`"
)
_DIRECTION = {"enum": ["ingress", "egress", None]}


def observation_schema() -> dict[str, Any]:
    """Return the schema of a line of `tracer observations --format jsonl`."""
    properties = {name: column_schema(name) for name in OBSERVATION_FIELDS}
    return _document("observation", properties)


def journey_schema() -> dict[str, Any]:
    """Return the schema of a journey, a line of `--format jsonl`."""
    number = {"type": "integer", "minimum": 1}
    properties = {
        "schema": _SCHEMA,
        "journey": {**number, "description": "number of the journey in this output"},
        "flow": _nullable("integer", "number of the flow it belongs to, both directions"),
        "proto": _nullable("string", "protocol by name, or its number as text"),
        "kind": _word(Kind, "what kind of packet it is"),
        "first_ns": _time("time at the first hop, ns since the UTC epoch, clocks aligned"),
        "last_ns": _time("time at the last hop"),
        "outcome": _word(Outcome, "how it ended"),
        "outcome_at": _nullable("string", "point it ended at: host/netns/device"),
        "reason": _nullable("string", "why it ended there, in the kernel's words or tracer's"),
        "reply": _nullable("integer", "journey that answers it"),
        "request": _nullable("integer", "journey it answers"),
        "retransmission_of": _nullable(
            "integer", "earlier journey with the same bytes, or some of them"
        ),
        "quotes": _nullable("integer", "journey whose packet this ICMP error quotes"),
        "ambiguous": {
            "type": "boolean",
            "description": "a join had several equal candidates, or packets beyond NAT may be it",
        },
        "duplicates": {
            "type": "integer",
            "description": "further copies at one point; each is also a hop",
        },
        "hops": {**_list("its hops in order", _hop()), "minItems": 1},
    }
    return _document("journey", properties)


def summary_schema() -> dict[str, Any]:
    """Return the schema of the summary (`--summary`); that of observations has fewer keys."""
    count = {"type": "integer", "minimum": 0}
    counts = {"type": "object", "additionalProperties": count}
    properties = {
        "schema": _SCHEMA,
        "observations": {**count, "description": "packets read, decoded or not"},
        "undecoded": {**count, "description": "of these, not decoded to the end"},
        "undecoded_by": {**counts, "description": "the same, by how far decoding went"},
        "warnings": _list("what was wrong with the inputs", _warning()),
        **{name: {**count, "description": text} for name, text in _COUNTS.items()},
        "clocks": _list("how each clock was aligned", _clock()),
        "lost": {**counts, "description": _LOST},
        "outcomes": {**counts, "description": "journeys by outcome"},
        "flow_paths": _list("where captures share no packet: the flows' paths", _flow_path()),
        "events": {**counts, "description": _EVENTS},
        "attached": _list(f"{_LIVE}: what it was attached to", {"type": "string"}),
    }
    document = _document("summary", properties)
    required = ("schema", "observations", "undecoded", "undecoded_by", "warnings")
    return document | {"required": list(required)}


def segment_schema() -> dict[str, Any]:
    """Return the schema of a line of `--segments FILE.jsonl`."""
    texts, parts = ("proto", "src", "dst", "from_point", "to_point"), ("loss", "error")
    properties = {
        name: _nullable("string" if name in texts else "integer", doc)
        for name, doc in SEGMENT_COLUMNS.items()
    }
    properties |= {name: {"type": "number", "description": SEGMENT_COLUMNS[name]} for name in parts}
    properties["way"] = {"enum": [*WAYS, None], "description": SEGMENT_COLUMNS["way"]}
    return _document("segment", properties)


SCHEMAS = {
    "journey": journey_schema,
    "observation": observation_schema,
    "summary": summary_schema,
    "segment": segment_schema,
}


def column_schema(name: str) -> dict[str, Any]:
    """Return the schema of a public column: its type or null, and what it means."""
    if name == "direction":
        return {**_DIRECTION, "description": _PLACE[name]}
    if name in _PLACE:
        return _nullable("string", _PLACE[name])
    column = BY_NAME[name]
    if column.kind == "enum":
        words = [*(word.label for word in _ENUMS[name]), None]
        return {"enum": words, "description": column.doc}
    return _nullable(_JSON_TYPES.get(column.kind, "string"), column.doc)


def _hop() -> dict[str, Any]:
    known = {
        "n": {"type": "integer", "minimum": 1, "description": "place in the journey"},
        "role": _nullable("string", "what the device is in Neutron, told from its name"),
        "time_ns": _time("ns since the UTC epoch, clocks aligned"),
        "delta_ns": _nullable("integer", "from the hop it came from"),
        "parent": _nullable("integer", "n of the hop it came from"),
        "cause": _nullable_word(Cause, "why it differs from that hop"),
    }
    properties = {key: known.get(key) or column_schema(name) for key, name in HOP_KEYS.items()}
    properties["changes"] = _list("what differs from the hop it came from", _change())
    properties["join"] = {
        "anyOf": [_join(), {"type": "null"}],
        "description": "what the step from there rests on; null at a first hop",
    }
    return _object(properties)


def _change() -> dict[str, Any]:
    value = {"type": ["integer", "string", "boolean", "null"]}
    properties = {
        "field": {"type": "string", "description": "the column that changed"},
        "from": {**value, "description": "its value at the hop before"},
        "to": {**value, "description": "its value at this hop"},
        "cause": _nullable_word(Cause, "why it changed"),
    }
    return _object(properties)


def _join() -> dict[str, Any]:
    properties = {
        "evidence": _word(Evidence, "what the step from the hop before rests on"),
        "candidates": _nullable("integer", "packets that could have been this hop"),
        "confidence": _nullable("number", "probability that the join is right"),
    }
    return _object(properties)


def _clock() -> dict[str, Any]:
    properties = {
        "host": {"type": "string", "description": "host it stamps for"},
        "offset_ns": {"type": "integer", "description": "what was added to its stamps"},
        "uncertainty_ns": _nullable("integer", "how far from that packets allow it to be"),
        "clock": {"type": "string", "description": "name of the clock"},
        "drift_ppm": {"type": "number", "description": "its drift against the first, millionths"},
        "samples": {"type": "integer", "description": "packets the estimate rests on"},
        "evidence": {
            "type": "string",
            "description": "`stamps`: taken as they are; `one-way`: bounded from one side only",
        },
    }
    return _object(properties)


def _warning() -> dict[str, Any]:
    properties = {
        "kind": {"type": "string", "description": "a word for programs that stays the same"},
        "message": {"type": "string", "description": "the same as a sentence"},
        "capture": _nullable("string", "file"),
        "offset": _nullable("integer", "byte offset of the first one in the decompressed file"),
        "count": {"type": "integer", "minimum": 1, "description": "how many there were"},
    }
    return _object(properties)


def _flow_path() -> dict[str, Any]:
    hop = {
        "at": {"type": "string", "description": "observation point: host/netns/device"},
        "capture": _nullable("string", "file"),
        "direction": {"enum": ["request", "reply"], "description": "which way of the flow"},
        "first_ns": _time("time of the first packet"),
        "packets": {"type": "integer", "description": "packets of the flow seen there"},
        "join": _nullable("string", "how it was joined to the hop before"),
        "reason": _nullable("string", "what the join was inferred from"),
        "last_ns": _time("time of the last packet"),
        "cause": _nullable_word(Cause, "why it differs from the hop before"),
        **{name: _flow_path_value(name) for name in FLOW_PATH_VALUES},
        "placed": {"type": "integer", "description": "packets without addresses among them"},
    }
    text, join = {"type": "string"}, _flow_path_join()
    properties = {
        "flow": {"type": "string", "description": "the flow in words, before NAT and after"},
        "proto": _nullable("string", "protocol by name, or its number as text"),
        "period_ns": _nullable("integer", "time between packets of the flow"),
        "inferences": _list("what is inferred rather than seen, in sentences", text),
        "hops": _list("the requests' points in travel order, then the replies'", _object(hop)),
        "joins": _list("what puts the flow before and after a translation together", join),
        "ambiguities": _list("what could not be told apart, in sentences", text),
    }
    return _object(properties)


def _flow_path_value(name: str) -> dict[str, Any]:
    words = {"first_seq": "ICMP sequence number of the first packet", "last_seq": "of the last"}
    return _nullable("integer", words[name]) if name in words else column_schema(name)


def _flow_path_join() -> dict[str, Any]:
    properties = {
        "before": {"type": "string", "description": "the flow before the translation"},
        "after": {"type": "string", "description": "the flow after it"},
        "translation": {"enum": ["snat", "dnat", "snat and dnat"], "description": "which NAT"},
        "evidence": {"type": "string", "description": "what puts the two together"},
        "candidates": {"type": "integer", "description": "flows that could have been it"},
        "text": {"type": "string", "description": "the same as a sentence"},
        "residual": _nullable("number", "distance from the line of sequence numbers, in periods"),
        "chance": _nullable("number", "probability that an unrelated flow fits as well"),
        "period_ns": _nullable("integer", "time between sequence numbers"),
    }
    return _object(properties)


def _document(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFT, "title": title, **_object(properties)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    # Keys may be added within a schema number, so others are allowed.
    return {"type": "object", "properties": properties, "required": list(properties)}


def _nullable(type_: str, description: str) -> dict[str, Any]:
    return {"type": [type_, "null"], "description": description}


def _list(description: str, items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "description": description}


def _time(description: str) -> dict[str, Any]:
    return _nullable("integer", description)


def _word(words: type[Label], description: str) -> dict[str, Any]:
    return {"enum": [word.label for word in words], "description": description}


def _nullable_word(words: type[Label], description: str) -> dict[str, Any]:
    return {"enum": [*(word.label for word in words if word), None], "description": description}
