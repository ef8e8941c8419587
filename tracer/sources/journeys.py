"""Journeys that were written before (`--format jsonl`, or a row each hop in Parquet), read back.

What is in a journey's JSON is there again, and with Parquet every column. Changes are worked out
anew from the values on both sides of a step. Clocks, warnings and counts of losses of the run that
wrote them are not in such files.
"""

import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tracer.core.address import NULL_U64, encode_ip, encode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Cause, Decode, Encap, Evidence, Kind, Label, Outcome
from tracer.core.errors import InputError
from tracer.core.journeys import FLOW_DTYPE, HOP_DTYPE, JOURNEY_DTYPE, NO_TIME, JourneySet
from tracer.core.point import Direction, Point
from tracer.core.protocols import PROTOCOLS, protocol_name
from tracer.core.schema import BY_NAME, PACKET_DTYPE, SECTION_DTYPES, SECTIONS, null_record
from tracer.core.warnings import InputWarning

_JOURNEY = ("journey", "flow", "proto", "kind", "first_ns", "last_ns", "outcome", "outcome_at",
            "reason", "reply", "request", "retransmission_of", "quotes", "ambiguous",
            "duplicates")  # fmt: skip
_REFERENCES = ("reply", "request", "retransmission_of", "quotes")
_PLACE = ("host", "netns", "device", "hook", "capture")
_TEXTS = {*_PLACE, "proto", "kind", "outcome", "outcome_at", "reason", "direction", "cause",
          "evidence", "decode", "encap"}  # fmt: skip
_JOIN = ("evidence", "candidates", "confidence")
_APART = ("point", "capture", "proto")  # codes of their own; the protocol is the journey's
_RENAMED = {"ip_len": "len"}  # where a hop's JSON names a column otherwise
_PROTOCOLS = {name: number for number in range(256) if (name := protocol_name(number))}
_Columns = dict[str, pa.Array]
_DAMAGED = (OSError, EOFError, zlib.error, pa.ArrowException, ValueError, KeyError, TypeError)


def is_journeys(path: Path) -> bool:
    """Return whether a file holds journeys, by its content; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
        if head[:4] == b"PAR1":
            return {"journey", "n", "outcome"} <= set(pq.read_schema(path).names)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                head = packed.read(64)
    except (OSError, EOFError, zlib.error, pa.ArrowException, ValueError):
        return False
    return head.startswith(b'{"schema":') and b'"journey":' in head


def read_journeys(path: Path) -> JourneySet:
    """Return the journeys of a file; raises InputError where it is damaged or of another schema."""
    try:
        with path.open("rb") as file:
            is_table = file.read(4) == b"PAR1"
        journeys, hops, counts = _table(path) if is_table else _lines(path)
        found = _assembled(journeys, hops, counts)
    except _DAMAGED as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"{path} holds no journeys that can be read: {reason}.",
            "Write them again with `tracer offline --format jsonl`.",
        ) from error
    message = "journeys joined before: clocks, damage and losses of that run are not in the file"
    found.warnings = (InputWarning("journeys-alone", message, path.name),)
    return found


def _table(path: Path) -> tuple[_Columns, _Columns, NDArray[np.int64]]:
    table = pq.read_table(path)
    table.validate(full=True)  # of damaged pages no index is known to be that of a value
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    numbers = columns["journey"].to_numpy(zero_copy_only=False)
    first = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
    counts = np.diff(first, append=len(numbers))
    journeys = {name: columns[name].take(pa.array(first)) for name in _JOURNEY}
    return journeys, columns, counts


def _lines(path: Path) -> tuple[_Columns, _Columns, NDArray[np.int64]]:
    # Fields that are not asked for are left out: the two sides of a change have any type.
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    text = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    options = pyarrow.json.ParseOptions(
        explicit_schema=_json_schema(), unexpected_field_behavior="ignore"
    )
    longest = max((len(line) for line in text.splitlines()), default=0)
    reading = pyarrow.json.ReadOptions(block_size=max(1 << 22, 2 * longest))
    table = pyarrow.json.read_json(io.BytesIO(text), reading, options)
    if any(schema != 1 for schema in pc.unique(table["schema"]).to_pylist()):
        raise ValueError("its schema is not 1")
    journeys = {name: table[name].combine_chunks() for name in _JOURNEY}
    lists = table["hops"].combine_chunks()
    if lists.null_count:
        raise ValueError("a journey has no hops")
    counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    fields = pc.list_flatten(lists)
    hops = {field.name: pc.struct_field(fields, field.name) for field in fields.type}
    hops |= {name: pc.struct_field(hops["join"], name) for name in _JOIN}
    return journeys, hops, counts


def _json_schema() -> pa.Schema:
    def typed(name: str) -> tuple[str, pa.DataType]:
        kind = BY_NAME[name].kind if name in BY_NAME else "int"
        is_text = name in _TEXTS or kind in ("ip", "mac", "digest", "enum")
        return name, pa.string() if is_text else pa.bool_() if kind == "bool" else pa.int64()

    join = pa.struct([typed("evidence"), typed("candidates"), ("confidence", pa.float64())])
    names = (*_PLACE, "n", "direction", "time_ns", "delta_ns", "parent", "cause", "frame",
             *(column for column in BY_NAME if column not in ("time_ns", "frame")))  # fmt: skip
    named = dict(typed(name) for name in names if name not in ("point",))
    fields = [(_RENAMED.get(name, name), kind) for name, kind in named.items()]
    journey = [typed(name) for name in _JOURNEY if name != "ambiguous"]
    hops = pa.list_(pa.struct([*fields, ("join", join)]))
    return pa.schema([("schema", pa.int64()), *journey, ("ambiguous", pa.bool_()), ("hops", hops)])


def _assembled(journeys: _Columns, hops: _Columns, counts: NDArray[np.int64]) -> JourneySet:
    batch = _batch(hops, int(counts.sum()))
    records = np.zeros(len(counts), JOURNEY_DTYPE)
    records["n_hops"], records["first_hop"] = counts, np.cumsum(counts) - counts
    numbers = _integers(journeys["journey"])
    place = {number: at for at, number in enumerate(numbers.tolist())}
    for name in _REFERENCES:
        wanted = _integers(journeys[name]).tolist()
        records[name] = [place.get(number, -1) for number in wanted]
    flow = _integers(journeys["flow"])
    records["flow"] = np.where(flow > 0, flow - 1, -1)
    for name in ("first_ns", "last_ns", "duplicates"):
        records[name] = _integers(journeys[name])
    records["ambiguous"] = journeys["ambiguous"].cast(pa.int8()).fill_null(0)
    records["proto"] = _coded(journeys["proto"], _PROTOCOLS | PROTOCOLS)
    batch.packets["proto"] = np.repeat(records["proto"], counts)
    records["kind"] = _coded(journeys["kind"], _words(Kind))
    records["outcome"] = _coded(journeys["outcome"], _words(Outcome))
    for name in ("kind", "outcome"):
        if (records[name] < 0).any():
            raise ValueError(f"a journey's {name} is no word for one")
    records["outcome_point"] = _coded(journeys["outcome_at"], _labels(batch.points))
    reasons = [text for text in pc.unique(journeys["reason"]).to_pylist() if text is not None]
    records["reason"] = _coded(journeys["reason"], {text: at for at, text in enumerate(reasons)})
    first = int(numbers[0]) if len(numbers) and _is_dense(numbers) else 1
    return JourneySet(
        batch, _hop_records(hops, counts), records, _flows(batch, records),
        reasons=tuple(reasons), first_journey=first,
    )  # fmt: skip


def _is_dense(numbers: NDArray[np.int64]) -> bool:
    return bool((np.diff(numbers) == 1).all())


def _batch(hops: _Columns, count: int) -> ObservationBatch:
    packets = np.repeat(null_record(PACKET_DTYPE), count)
    _fill(packets, hops, PACKET_DTYPE.names or ())
    if "ip_version" not in hops:
        is_v4 = (packets["src_hi"] == 0) & (packets["src_lo"] >> np.uint64(32) == 0xFFFF)
        is_known = (packets["src_lo"] != NULL_U64) | (packets["src_hi"] != NULL_U64)
        packets["ip_version"] = np.where(is_known, np.where(is_v4, 4, 6), -1)
    captures = [text for text in pc.unique(hops["capture"]).to_pylist() if text is not None]
    packets["capture"] = _coded(hops["capture"], {text: at for at, text in enumerate(captures)})
    places = zip(*(hops[name].to_pylist() for name in _PLACE), strict=True)
    codes: dict[Point, int] = {}
    packets["point"] = [codes.setdefault(_point(*place), len(codes)) for place in places]
    sections = {}
    for name, dtype in SECTION_DTYPES.items():
        sections[name] = _section(hops, [column.name for column in SECTIONS[name]], dtype, count)
    return ObservationBatch(packets, sections, tuple(codes), tuple(captures))


def _point(
    host: str | None, netns: str | None, device: str | None, hook: str | None, capture: str | None
) -> Point:
    # Where device or hook is known, two captures of it are one point.
    stem = None if device or hook or capture is None else capture.partition(".")[0]
    return Point(host, netns, device, hook=hook, capture=stem)


def _section(hops: _Columns, names: list[str], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    present = np.zeros(count, np.bool_)
    for name in names:
        if name in hops:
            present |= hops[name].is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(present)
    records = np.repeat(null_record(dtype), len(rows))
    records["row"] = rows
    picked = {name: hops[name].take(pa.array(rows)) for name in names if name in hops}
    _fill(records, picked, dtype.names or ())
    return records


def _fill(records: NDArray[Any], columns: _Columns, fields: Iterable[str]) -> None:
    for name in dict.fromkeys(field.removesuffix("_hi").removesuffix("_lo") for field in fields):
        column = columns.get(_RENAMED.get(name, name), columns.get(name))
        if column is None or name not in BY_NAME or name in _APART:
            continue
        match BY_NAME[name].kind:
            case "ip":
                pairs = _distinct(column, encode_ip, (NULL_U64, NULL_U64))
                records[f"{name}_hi"], records[f"{name}_lo"] = pairs.T
            case "mac":
                records[name] = _distinct(column, encode_mac, NULL_U64)
            case "digest":
                records[name] = _distinct(column, lambda text: int(text, 16), 0)
            case "enum":
                word = _coded(column, _words(Encap if name == "encap" else Decode))
                records[name] = np.maximum(word, 0) if name == "decode" else word
            case _:
                records[name] = _integers(column)


def _hop_records(hops: _Columns, counts: NDArray[np.int64]) -> NDArray[Any]:
    records = np.zeros(int(counts.sum()), HOP_DTYPE)
    records["journey"] = np.repeat(np.arange(len(counts)), counts)
    records["row"] = np.arange(len(records))
    for name in ("n", "time_ns"):
        records[name] = _integers(hops[name])
    records["parent"] = np.maximum(_integers(hops["parent"]), 0)
    records["delta_ns"] = hops["delta_ns"].cast(pa.int64()).fill_null(NO_TIME)
    records["candidates"] = _integers(hops["candidates"])
    records["confidence"] = hops["confidence"].cast(pa.float64()).fill_null(np.nan)
    records["evidence"] = np.maximum(_coded(hops["evidence"], _words(Evidence)), 0)
    records["cause"] = np.maximum(_coded(hops["cause"], _words(Cause)), 0)
    ways = {each.label: int(each) for each in Direction if each.label}
    records["direction"] = _coded(hops["direction"], ways)
    return records


def _flows(batch: ObservationBatch, journeys: NDArray[Any]) -> NDArray[Any]:
    # A flow looks as the longest of its journeys did that answers nothing, at both its ends.
    count = int(journeys["flow"].max(initial=-1)) + 1
    flows = np.zeros(count, FLOW_DTYPE)
    flows["journeys"] = np.bincount(journeys["flow"][journeys["flow"] >= 0], minlength=count)
    order = np.lexsort((journeys["n_hops"], journeys["request"] < 0))
    chosen = np.full(count, -1, np.int64)
    known = order[journeys["flow"][order] >= 0]
    chosen[journeys["flow"][known]] = known
    at = np.maximum(chosen, 0)
    for prefix, offset in (("", 0), ("nat_", -1)):
        hop = journeys["first_hop"][at] + (journeys["n_hops"][at] + offset if offset else 0)
        for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "icmp_id"):
            flows[prefix + name] = batch.packets[name][hop]
    flows["proto"], flows["ip_version"] = journeys["proto"][at], 0
    return flows


def _integers(column: pa.Array) -> NDArray[np.int64]:
    found: NDArray[np.int64] = column.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return found


def _coded(column: pa.Array, codes: dict[str, int]) -> NDArray[np.int64]:
    return _distinct(column, lambda text: codes.get(text, -1), -1)


def _distinct(column: pa.Array, value: Any, null: Any) -> NDArray[Any]:
    # Each distinct text is converted once.
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    words = [null if text is None else value(text) for text in encoded.dictionary.to_pylist()]
    kind = np.uint64 if isinstance(null, tuple) or null in (NULL_U64, 0) else np.int64
    table = np.array([*words, null], kind)
    found: NDArray[Any] = table[
        encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    ]
    return found


def _words(words: type[Label]) -> dict[str, int]:
    return {each.label: int(each) for each in words}


def _labels(points: Iterable[Point]) -> dict[str, int]:
    # As `outcome_at` is written: host, namespace where it tells more, device or hook.
    found: dict[str, int] = {}
    for at, point in enumerate(points):
        netns = None if point.netns == point.host else point.netns
        parts = (point.host, netns, point.device or point.hook)
        found.setdefault("/".join(part for part in parts if part) or point.name, at)
    return found
