"""Figures of each flow: what it is, how it is translated, how many of its packets were lost."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import decode_ip
from tracer.core.enums import LOST
from tracer.core.journeys import UNTIMED, JourneySet, known_time, untimed
from tracer.core.protocols import protocol_name
from tracer.core.schema import StructuredArray
from tracer.report.statistics.quantiles import grouped_quantiles
from tracer.report.statistics.times import round_trips
from tracer.report.words import endpoint


@dataclass(frozen=True, slots=True)
class Tuple:
    """One form of a flow: addresses as text, ports or an echo identifier where it has them."""

    src: str | None
    dst: str | None
    sport: int | None
    dport: int | None
    icmp_id: int | None

    @property
    def words(self) -> str:
        """The tuple as a line shows it."""
        ends = f"{endpoint(self.src, self.sport)} → {endpoint(self.dst, self.dport)}"
        return ends if self.icmp_id is None else f"{ends} id {self.icmp_id}"


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """A flow; `translated` is None where nothing was, times are nan where none is known.

    `flow` is its number from 1. `transit_ns` and `rtt_ns` are (median, 99th percentile): from the
    first to the last hop of delivered packets, and from a request to its reply where both were
    seen first and last at one place.
    """

    flow: int
    proto: str | None
    original: Tuple
    translated: Tuple | None
    journeys: int
    lost: int
    ambiguous: int
    first_ns: int | None
    last_ns: int | None
    transit_ns: tuple[float, float]
    rtt_ns: tuple[float, float]


def flows_of(journey_set: JourneySet) -> list[FlowFigures]:
    """Return the flows that have a journey, in their own order."""
    journeys, flows = journey_set.journeys, journey_set.flows
    count = len(flows)
    at = np.flatnonzero((journeys["flow"] >= 0) & (journeys["flow"] < count))
    code = journeys["flow"][at]
    number = np.bincount(code, minlength=count)
    lost = np.bincount(code[np.isin(journeys["outcome"][at], LOST)], minlength=count)
    ambiguous = np.bincount(code[journeys["ambiguous"][at] > 0], minlength=count)
    first, last = times_of(journeys[at], code, count)
    transit, rtt = _transit(journey_set, count), _round_trips(journey_set, count)
    return [
        FlowFigures(
            index + 1, protocol_name(int(record["proto"])), _tuple(record, ""), _translated(record),
            int(number[index]), int(lost[index]), int(ambiguous[index]),
            known_time(first[index]), known_time(last[index]), transit[index], rtt[index],
        )
        for index, record in enumerate(flows)
        if number[index]
    ]  # fmt: skip


def times_of(
    journeys: StructuredArray, code: NDArray[Any], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when the first and the last of the journeys of each of `count` codes were seen, in ns
    each (count,), UNTIMED where no time is known.
    """
    none = np.iinfo(np.int64).max
    first, last = np.full(count, none), np.full(count, np.iinfo(np.int64).min)
    begun, ended = journeys["first_ns"] != UNTIMED, journeys["last_ns"] != UNTIMED
    np.minimum.at(first, code[begun], journeys["first_ns"][begun])
    np.maximum.at(last, code[ended], journeys["last_ns"][ended])
    first[first == none], last[last == np.iinfo(np.int64).min] = UNTIMED, UNTIMED
    return first, last


def _transit(journey_set: JourneySet, count: int) -> list[tuple[float, float]]:
    journeys = journey_set.journeys
    taken = journeys["last_ns"] - journeys["first_ns"]
    chosen = (journeys["flow"] >= 0) & (journeys["flow"] < count)
    chosen &= (journeys["n_hops"] > 1) & (taken >= 0) & ~untimed(journeys)
    chosen &= ~np.isin(journeys["outcome"], LOST)
    return _medians(journeys["flow"][chosen], taken[chosen], count)


def _round_trips(journey_set: JourneySet, count: int) -> list[tuple[float, float]]:
    requests, taken = round_trips(journey_set)
    flows = journey_set.journeys["flow"][requests]
    known = (flows >= 0) & (flows < count)
    return _medians(flows[known], taken[known], count)


def _medians(
    codes: NDArray[Any], values: NDArray[np.int64], count: int
) -> list[tuple[float, float]]:
    quantiles = grouped_quantiles(codes, values, count)
    return [(float(row[3]), float(row[6])) for row in quantiles]


def _tuple(record: Any, prefix: str) -> Tuple:
    def number(name: str) -> int | None:
        value = int(record[prefix + name])
        return None if value == -1 else value

    def address(name: str) -> str | None:
        return decode_ip(int(record[f"{prefix}{name}_hi"]), int(record[f"{prefix}{name}_lo"]))

    return Tuple(
        address("src"), address("dst"), number("sport"), number("dport"), number("icmp_id")
    )


def _translated(record: Any) -> Tuple | None:
    after = _tuple(record, "nat_")
    return None if after == _tuple(record, "") or after.src is None else after
