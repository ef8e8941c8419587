"""The comment of each packet: its journey and hop, what changed there, and on what it rests."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracer.core.changes import FieldChanges, changes_at
from tracer.core.enums import Cause, Evidence, Kind, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Direction
from tracer.core.rows import Rows
from tracer.core.schema import BY_NAME
from tracer.report.columns import integers, labels, stored_column, taken
from tracer.report.hop_columns import journey_columns
from tracer.report.words import cause_word

_NAMES = {"icmp_id": "id", "icmp_seq": "seq", "ip_id": "IP id", "ip_len": "length"}
_ADDRESSES = ("src", "dst")
_PORTS = ("sport", "dport")
_DIRECTIONS = (Direction.INGRESS.label, Direction.EGRESS.label)
_UNSAID = ("src_mac", "dst_mac")  # the packet shows them itself


def comments(journey_set: JourneySet, hops: Rows) -> list[str]:
    """Return the comment of each hop (indices into the set's hops).

    `journey 17 hop 5/10 icmp echo-request; ttl 64→63; SNAT 192.168.3.69→100.122.0.145; evidence
    conntrack`. Other journeys are named with #, so that `journey 17 ` finds that journey alone.
    """
    changes = [
        _spread(found, len(hops))
        for found in changes_at(journey_set, hops)
        if found.field not in _UNSAID
    ]
    parts = [*_title(journey_set, hops), _direction(journey_set, hops), *changes]
    parts.append(_evidence(journey_set, hops))
    parts += [_clock(journey_set, hops), *_end(journey_set, hops)]
    texts: list[str] = pc.binary_join_element_wise(
        *(_text(part) for part in parts), "", null_handling="replace"
    ).to_pylist()
    return texts


def _title(journey_set: JourneySet, hops: Rows) -> list[pa.Array | str]:
    records = journey_set.hops[hops]
    columns = journey_columns(journey_set, records["journey"])
    total = journey_set.journeys["n_hops"][records["journey"]]
    proto, kind = columns["proto"].cast(pa.string()), columns["kind"].cast(pa.string())
    # `icmp echo-request`, but `tcp-syn`: the protocol once.
    proto = pc.fill_null(proto, "")
    has_own = pc.or_(pc.equal(proto, ""), pc.is_in(kind, pa.array(_KINDS_WITH_PROTOCOL)))
    before = pc.if_else(has_own, " ", pc.binary_join_element_wise(" ", proto, " ", ""))
    return ["journey ", columns["journey"], " hop ", integers(records["n"]), "/",
            integers(total), before, kind]  # fmt: skip


_KINDS_WITH_PROTOCOL = [
    kind.label for kind in Kind if kind.label.partition("-")[0] in ("icmp", "tcp", "udp", "arp")
]


def _direction(journey_set: JourneySet, hops: Rows) -> pa.Array:
    # Only what was inferred: what the capture told is in the packet's flags.
    batch, records = journey_set.observations, journey_set.hops[hops]
    told = np.array([*(point.direction for point in batch.points), -1], np.int8)
    told = told[batch.packets["point"][records["row"]]]
    words = taken(_DIRECTIONS, np.where(told < 0, records["direction"], -1))
    return pc.binary_join_element_wise("; ", _text(words), " (inferred)", "")


def _spread(found: FieldChanges, count: int) -> pa.Array:
    words = taken([_word(found.field, cause) for cause in Cause], found.cause)
    column = BY_NAME[found.field]
    before, after = (
        pc.fill_null(_text(stored_column(column, stored)), "none")
        for stored in (found.before, found.after)
    )
    text = pc.binary_join_element_wise("; ", _text(words), " ", before, "→", after, "")
    index = np.full(count, -1, np.int64)
    index[found.hops] = np.arange(len(found.hops))
    return text.take(pa.array(index, mask=index < 0))


def _word(field: str, cause: Cause) -> str:
    name = _NAMES.get(field, field.replace("_", " "))
    if cause is Cause.NONE or field not in (*_ADDRESSES, *_PORTS):
        return name
    word = cause_word(cause.label)
    return word if field in _ADDRESSES else f"{word} port"


def _evidence(journey_set: JourneySet, hops: Rows) -> pa.Array:
    records = journey_set.hops[hops]
    evidence = labels(Evidence, np.where(records["parent"] > 0, records["evidence"], -1))
    several = np.where(records["candidates"] > 1, records["candidates"], -1)
    of_many = pc.binary_join_element_wise(
        " (1 of ", _text(integers(several, -1)), " candidates)", ""
    )
    words = pc.binary_join_element_wise("; evidence ", _text(evidence), "")
    return pc.binary_join_element_wise(words, pc.fill_null(of_many, ""), "")


def _clock(journey_set: JourneySet, hops: Rows) -> pa.Array:
    records = journey_set.hops[hops]
    stamps = journey_set.observations.packets["time_ns"][records["row"]]
    moved = integers(np.where(stamps >= 0, records["time_ns"] - stamps, 0), 0)
    return pc.binary_join_element_wise("; clock corrected by ", _text(moved), " ns", "")


def _end(journey_set: JourneySet, hops: Rows) -> list[pa.Array]:
    records = journey_set.hops[hops]
    journeys = journey_set.journeys[records["journey"]]
    is_last = records["n"] == journeys["n_hops"]
    outcome = labels(Outcome, np.where(is_last, journeys["outcome"], -1))
    reason = taken(journey_set.reasons, np.where(is_last, journeys["reason"], -1))
    reply = integers(np.where(is_last, journeys["reply"], -1), -1, add=journey_set.first_journey)
    return [
        pc.binary_join_element_wise(before, _text(value), "")
        for before, value in (("; ", outcome), (": ", reason), ("; answered by #", reply))
    ]


def _text(column: pa.Array | str) -> pa.Array | str:
    return column if isinstance(column, str) else pc.cast(column, pa.string())
