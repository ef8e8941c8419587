"""Columns to values: observations and journeys as dataclasses, for what is shown."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import decode_ip, decode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.changes import changes_at
from tracer.core.enums import Cause, Decode, Encap, Evidence, Kind, Label, Outcome
from tracer.core.hop import Change, Hop, Join
from tracer.core.journey import Journey
from tracer.core.journeys import NO_TIME, NUMBERS_DTYPE, JourneySet, known_time
from tracer.core.observation import Observation
from tracer.core.point import Direction, Point
from tracer.core.protocols import protocol_name
from tracer.core.rows import Rows, nulls, values_at
from tracer.core.schema import BY_NAME, COLUMNS, Column, null_of

ENUMS: dict[str, type[Label]] = {"decode": Decode, "encap": Encap}
_STORED = tuple(column for column in COLUMNS if column.name not in ("point", "capture"))
_NO_POINT = Point()
_ip = lru_cache(1 << 14)(decode_ip)
_mac = lru_cache(1 << 14)(decode_mac)


def public_value(column: Column, stored: tuple[int, ...]) -> Any:
    """Return one stored value as it is shown: text for addresses, MACs, digests, enums, or None."""
    if all(part == null_of(column) for part in stored):
        return None
    match column.kind:
        case "ip":
            return _ip(*stored)
        case "mac":
            return _mac(stored[0])
        case "digest":
            return f"{stored[0]:016x}"
        case "bool":
            return bool(stored[0])
        case "enum":
            return ENUMS[column.name](stored[0]).label
    return stored[0]


def public_values(column: Column, stored: tuple[NDArray[Any], ...]) -> list[Any]:
    """Return stored values (as `core.rows.values_at` gives them) as they are shown."""
    missing = nulls(column, stored)
    if missing.all():
        return [None] * len(missing)
    if column.kind == "int":
        values: list[Any] = stored[0].tolist()
        if not missing.any():
            return values
        return [None if is_null else n for n, is_null in zip(values, missing.tolist(), strict=True)]
    parts = zip(*(part.tolist() for part in stored), strict=True)
    return [public_value(column, part) for part in parts]


def observations_of(batch: ObservationBatch, rows: Rows) -> list[Observation]:
    """Return the observations at the given rows, in that order."""
    columns = [public_values(column, values_at(batch, column.name, rows)) for column in _STORED]
    names = [column.name for column in _STORED]
    places = zip(
        (_entry(batch.points, code, _NO_POINT) for code in batch.packets["point"][rows]),
        (_entry(batch.captures, code, None) for code in batch.packets["capture"][rows]),
        strict=True,
    )
    return [
        Observation(
            host=point.host,
            netns=point.netns,
            device=point.device,
            direction=point.direction.label,
            hook=point.hook,
            clock=None if point is _NO_POINT else point.clock_name,
            capture=capture,
            **dict(zip(names, values, strict=True)),
        )
        for (point, capture), *values in zip(places, *columns, strict=True)
    ]


def journeys_of(
    journey_set: JourneySet, numbers: Iterable[int] | NDArray[np.integer[Any]]
) -> list[Journey]:
    """Return the journeys at the given indices (from 0), in that order, with all their hops."""
    chosen = np.fromiter(numbers, np.int64)
    records = journey_set.journeys[chosen]
    hops = hop_indices(records)
    values = iter(_hops(journey_set, hops))
    numbers = [journey_set.shown(name, chosen).tolist() for name in NUMBERS_DTYPE.names or ()]
    return [
        _journey(journey_set, shown, record, [next(values) for _ in range(record["n_hops"])])
        for shown, record in zip(zip(*numbers, strict=True), records, strict=True)
    ]


def _entry(entries: Sequence[Any], code: int, default: Any) -> Any:
    return entries[code] if 0 <= code < len(entries) else default


def hop_indices(records: NDArray[Any]) -> Rows:
    """Return the indices of all hops of the given journey records, journey by journey, (hops,)."""
    counts = records["n_hops"].astype(np.int64)
    starts = np.repeat(records["first_hop"] - np.cumsum(counts) + counts, counts)
    return starts + np.arange(counts.sum())


def _hops(journey_set: JourneySet, hops: Rows) -> list[Hop]:
    changes: defaultdict[int, list[Change]] = defaultdict(list)
    for found in changes_at(journey_set, hops):
        column = BY_NAME[found.field]
        before, after = public_values(column, found.before), public_values(column, found.after)
        for at, old, new, cause in zip(found.hops, before, after, found.cause, strict=True):
            changes[at].append(Change(found.field, old, new, _label(Cause, cause)))
    records = journey_set.hops[hops]
    batch = journey_set.observations
    observations = observations_of(batch, records["row"])
    names = [point.capture for point in batch.points]
    points = batch.packets["point"][records["row"]]
    return [
        _hop(record, observation, tuple(changes[at]), _entry(names, code, None))
        for at, (record, observation, code) in enumerate(
            zip(records, observations, points, strict=True)
        )
    ]


def _label(words: type[Label], value: int) -> str | None:
    return words(value).label if value > 0 else None


def _hop(
    record: Any, observation: Observation, changes: tuple[Change, ...], called: str | None
) -> Hop:
    confidence = round(float(record["confidence"]), 6)
    join = Join(
        Evidence(record["evidence"]).label,
        int(record["candidates"]) if record["candidates"] >= 0 else None,
        None if np.isnan(confidence) else confidence,
    )
    return Hop(
        n=int(record["n"]),
        observation=observation,
        time_ns=known_time(record["time_ns"]),
        delta_ns=None if record["delta_ns"] == NO_TIME else int(record["delta_ns"]),
        parent=int(record["parent"]),
        direction=Direction(record["direction"]).label,
        cause=_label(Cause, record["cause"]),
        changes=changes,
        join=join if record["parent"] > 0 else None,
        called=called,
    )


def _journey(
    journey_set: JourneySet, shown: tuple[int, ...], record: Any, hops: list[Hop]
) -> Journey:
    journey, reply, request, retransmission_of, quotes = shown
    return Journey(
        journey=journey,
        flow=_number(record["flow"]),
        proto=protocol_name(int(record["proto"])),
        kind=Kind(record["kind"]).label,
        first_ns=known_time(record["first_ns"]),
        last_ns=known_time(record["last_ns"]),
        outcome=Outcome(record["outcome"]).label,
        outcome_point=_entry(journey_set.observations.points, int(record["outcome_point"]), None),
        reason=_entry(journey_set.reasons, int(record["reason"]), None),
        reply=_known(reply),
        request=_known(request),
        retransmission_of=_known(retransmission_of),
        quotes=_known(quotes),
        ambiguous=bool(record["ambiguous"]),
        duplicates=int(record["duplicates"]),
        hops=tuple(hops),
    )


def _number(index: int) -> int | None:
    return int(index) + 1 if index >= 0 else None


def _known(number: int) -> int | None:
    return number if number >= 0 else None
