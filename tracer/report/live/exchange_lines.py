"""An exchange as one line: its number, when, how it ended, what it is, where it stopped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import decode_ip
from tracer.core.enums import Kind, Outcome
from tracer.core.hop import Hop
from tracer.core.journey import Journey
from tracer.core.journeys import JourneySet
from tracer.core.protocols import protocol_name
from tracer.core.values import observations_of
from tracer.report.line import Line
from tracer.report.live.units import duration
from tracer.report.roles import short_label
from tracer.report.words import clock_time, endpoint, packet_details, packet_title

Numbers = NDArray[np.integer[Any]]
_WIDE = 100  # columns from which on numbers and times are shown in full
_END_WIDTH = 10
_WORST = (Outcome.DROPPED, Outcome.VANISHED, Outcome.LOST_BY_TRACER)
_STYLES = {Outcome.DROPPED: "bold red", Outcome.VANISHED: "bold red"}
_ENDS = {
    Outcome.ANSWERED_ELSEWHERE: "elsewhere",
    Outcome.NOT_OBSERVABLE: "out of view",
    Outcome.LOST_BY_TRACER: "tracer",
}
_PLACE = re.compile(r"\b(at|after) [^ :]*/")  # of a point's name a narrow line shows the device
_SHORT = (("ICMP echo request ", "ping "), ("ICMP echo reply ", "ping reply "))


@dataclass(frozen=True, slots=True)
class Glance:
    """What one line says of an exchange; `where` is empty unless a packet of it was lost."""

    number: int
    time_ns: int | None
    end: str
    style: str
    title: str
    details: str
    where: str
    translated: str

    def line(self, width: int) -> Line:
        """Return the line, cut to `width` columns."""
        number, time, gap = (9, 15, "  ") if width >= _WIDE else (6, 10, " ")
        line = Line(f"{f'#{self.number}':>{number}} ", "dim")
        line.append(f"{clock_time(self.time_ns)[:time]} ")
        line.append(f"{self.end:>{_END_WIDTH}}", self.style).append(gap)
        where = self.where if width >= _WIDE else _PLACE.sub(r"\1 ", self.where)
        for text, style, least in (
            (self.title, "bold", 2), (where, self.style, 2), (self.details, "", 4),
            (self.translated, "magenta", 20),
        ):  # fmt: skip
            room = width - line.cell_len
            if text and room >= min(least, len(text)):
                line.append(text if len(text) <= room else f"{text[: room - 1]}…", style)
                line.append(gap)
        return line.rstrip()


def glances(part: JourneySet, exchanges: Sequence[Numbers]) -> list[Glance]:
    """Return what the lines of the exchanges (each its journeys' indices) say."""
    firsts = np.array([members[0] for members in exchanges], np.int64)
    rows = part.hops["row"][part.journeys["first_hop"][firsts]]
    seen = observations_of(part.observations, rows)
    return [
        _glance(part, members, observation)
        for members, observation in zip(exchanges, seen, strict=True)
    ]


def _glance(part: JourneySet, members: Numbers, observation: Any) -> Glance:
    record = part.journeys[members[0]]
    journey = Journey(
        journey=int(members[0]) + part.first_journey,
        flow=None,
        proto=protocol_name(int(record["proto"])),
        kind=Kind(record["kind"]).label,
        first_ns=int(record["first_ns"]),
        last_ns=int(record["last_ns"]),
        outcome="",
        hops=(Hop(1, observation, int(record["first_ns"])),),
    )
    title = packet_title(journey)
    for long, short in _SHORT:
        title = title.replace(long, short)
    end, style, where = _end(part, members)
    details = " ".join(packet_details(observation))
    return Glance(
        journey.journey, journey.first_ns, end, style, title, details, where, _nat(part, record)
    )


def _end(part: JourneySet, members: Numbers) -> tuple[str, str, str]:
    outcomes = part.journeys["outcome"][members]
    for outcome in _WORST:
        found = members[outcomes == outcome]
        if len(found):
            place = _place(part, int(found[0]), is_first=found[0] == members[0])
            return _word(outcome), _STYLES.get(outcome, "yellow"), place
    if (time_ns := round_trip_ns(part, members)) is not None:
        return duration(time_ns), "green", ""
    first = Outcome(outcomes[0])
    return _word(first), "green" if first == Outcome.DELIVERED else "yellow", ""


def _word(outcome: Outcome) -> str:
    return _ENDS.get(outcome, outcome.label)


def _place(part: JourneySet, number: int, *, is_first: bool) -> str:
    record = part.journeys[number]
    points = part.observations.points
    at, reason = int(record["outcome_point"]), int(record["reason"])
    words = [] if is_first else ["the reply"]
    if 0 <= at < len(points):
        words += ["at" if record["outcome"] == Outcome.DROPPED else "after"]
        words += [short_label(points[at])]
    text = " ".join(words)
    return f"{text}: {part.reasons[reason]}" if 0 <= reason < len(part.reasons) else text


def round_trip_ns(part: JourneySet, members: Numbers) -> int | None:
    """Return the time (ns) from an exchange's first packet to its reply, at the first point that
    saw both; None without a reply or such a point.
    """
    reply = int(part.journeys["reply"][members[0]])
    if reply < 0:
        return None
    back = dict(_times(part, reply))
    for place, time_ns in _times(part, int(members[0])):
        if place in back:
            return back[place] - time_ns
    return None


def _times(part: JourneySet, number: int) -> list[tuple[tuple[str | None, ...], int]]:
    record = part.journeys[number]
    hops = part.hops[record["first_hop"] : record["first_hop"] + record["n_hops"]]
    codes = part.observations.packets["point"][hops["row"]].tolist()
    points = (part.observations.points[code] for code in codes)
    return [
        ((point.host, point.netns, point.name), time_ns)
        for point, time_ns in zip(points, hops["time_ns"].tolist(), strict=True)
    ]


def _nat(part: JourneySet, journey: Any) -> str:
    if not 0 <= journey["flow"] < len(part.flows):
        return ""
    flow = part.flows[journey["flow"]]
    names = ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "icmp_id")
    if all(flow[name] == flow[f"nat_{name}"] for name in names):
        return ""
    ends = (
        endpoint(
            decode_ip(int(flow[f"nat_{end}_hi"]), int(flow[f"nat_{end}_lo"])),
            int(flow[port]) if flow[port] >= 0 else None,
        )
        for end, port in (("src", "nat_sport"), ("dst", "nat_dport"))
    )
    identifier = f" id {flow['nat_icmp_id']}" if flow["nat_icmp_id"] >= 0 else ""
    return f"as {' → '.join(ends)}{identifier}"
