"""What happened, in three sentences: how packets ended, where they stop, what is slow."""

from collections import Counter

import numpy as np

from tracer.core.journeys import JourneySet, untimed
from tracer.report.document.charts import segment_name
from tracer.report.document.units import duration, percent, plural
from tracer.report.statistics.figures import Figures
from tracer.report.statistics.quantiles import grouped_quantiles
from tracer.report.statistics.segments import Segment
from tracer.report.statistics.times import round_trips

_ENDS = {
    "delivered": "delivered",
    "dropped": "dropped by the kernel",
    "vanished": "lost without a drop being reported",
    "unfinished": "last seen at the edge of the capture",
    "answered-elsewhere": "answered elsewhere",
    "not-observable": "gone where nothing can be observed",
    "lost-by-tracer": "missed by a capture or by tracer itself",
}
_LOST = ("dropped", "vanished")  # among what stopped
_NO_CAUSE = ("no answer seen", "the rest went on")  # ends of reasons that do not say why


def what_happened(journey_set: JourneySet, figures: Figures) -> list[str]:
    """Return the three sentences, in plain text."""
    if not len(journey_set.journeys):
        return ["No packet was found in what was given.", "", ""]
    if journey_set.flow_paths:
        return [*_inferred(journey_set, figures), _slow(journey_set, figures)]
    return [_outcomes(journey_set, figures), _stops(figures), _slow(journey_set, figures)]


def _inferred(journey_set: JourneySet, figures: Figures) -> tuple[str, str]:
    total, paths = len(journey_set.journeys), len(journey_set.flow_paths)
    answered = int((journey_set.journeys["reply"] >= 0).sum())
    return (
        f"No two of these captures share a packet, so no journey can be followed: from "
        f"{plural(total, 'packet')} seen at {_points(figures)} the "
        f"{'path of one flow was' if paths == 1 else f'paths of {paths} flows were'} put together, "
        "by inference.",
        f"Whether packets were lost on the way cannot be told; {plural(answered, 'request')} "
        f"{'has its' if answered == 1 else 'have their'} answer in the same capture.",
    )


def _outcomes(journey_set: JourneySet, figures: Figures) -> str:
    total = len(journey_set.journeys)
    where = _points(figures)
    timed = journey_set.journeys[~untimed(journey_set.journeys)]
    took = ""
    if len(timed) and (took_ns := int(timed["last_ns"].max() - timed["first_ns"].min())) > 0:
        took = f" within {duration(took_ns)}"
    parts = [
        f"{plural(number, 'was', 'were')} {_ENDS.get(word, word)}"
        + (f" ({percent(number / total)})" if word == "delivered" and number < total else "")
        for word, number in figures.outcomes.items()
    ]
    if figures.outcomes.get("delivered") == total:
        every = "The one packet" if total == 1 else f"All {plural(total, 'packet')}"
        return f"{every} seen at {where}{took} {'was' if total == 1 else 'were'} delivered."
    return f"Of {plural(total, 'packet')} seen at {where}{took}, {_listed(parts)}."


def _points(figures: Figures) -> str:
    hosts = {place.host for place in figures.places.places}
    where = plural(len(figures.places), "observation point")
    all_known = None not in hosts and len(hosts) > 1
    return f"{where} on {plural(len(hosts), 'host')}" if all_known else where


def _stops(figures: Figures) -> str:
    lost = sorted((each for each in figures.segments if each.lost), key=lambda each: -each.lost)
    total = sum(each.lost for each in lost)
    if not total:
        return "No packet was lost between the points that were watched."
    worst = lost[:3]
    places = [
        f"{_where(segment, figures)} ({segment.lost} of {segment.packets + segment.lost} there)"
        for segment in worst
    ]
    rest = total - sum(each.lost for each in worst)
    if rest:
        places.append(f"{plural(rest, 'more')} elsewhere".replace("mores", "more"))
    because, packets = _because(figures)
    if total == 1:
        return f"The one lost packet stopped {places[0].partition(' (')[0]}{because}."
    # Of super-packets each lost segment is counted.
    what = "packets" if total == packets else "packets and segments of packets"
    return f"The {total} lost {what} stopped {_listed(places)}{because}."


def _because(figures: Figures) -> tuple[str, int]:
    # The reason given for most lost packets, in how many of them; and their number.
    reasons, lost = Counter[str](), 0
    for (_, outcome, reason), number in figures.stops.items():
        if outcome in _LOST:
            lost += number
            if reason and not reason.endswith(_NO_CAUSE):
                reasons[reason] += number
    if not reasons:
        return "", lost
    reason, number = reasons.most_common(1)[0]
    every = "" if number == lost else f" ({number} of {lost})"
    return f"; the reason most often given is “{reason}”{every}", lost


def _where(segment: Segment, figures: Figures) -> str:
    origin = figures.places.places[segment.origin]
    if segment.target < 0:
        return f"after {origin.label}"
    target = figures.places.places[segment.target]
    if (origin.host, origin.netns) == (target.host, target.netns):
        inside = "/".join(part for part in (origin.host, origin.short_netns) if part)
        return f"between {origin.name} and {target.name}" + (f" in {inside}" if inside else "")
    return f"between {origin.label} and {target.label}"


def _slow(journey_set: JourneySet, figures: Figures) -> str:
    parts = []
    _, taken = round_trips(journey_set)
    if len(taken):
        row = grouped_quantiles(np.zeros(len(taken), np.int64), taken, 1)[0]
        half = "The answer took" if len(taken) == 1 else "Half of the answers came within"
        parts.append(f"{half} {duration(row[3])}")
        if len(taken) > 1:
            parts[-1] += f", 99 % within {duration(row[6])}"
    timed = [segment for segment in figures.segments if segment.timed]
    total = sum(segment.total_ns for segment in timed)
    if total:
        worst = max(timed, key=lambda segment: segment.total_ns)
        parts.append(
            f"{percent(worst.total_ns / total)} of all latency is on "
            f"{segment_name(worst, figures.places)}, p50 {duration(worst.p50_ns)} and p99 "
            f"{duration(worst.p99_ns)}"
        )
    if not parts:
        return (
            "No packet was seen at two points whose clocks agree, so nothing is known about time."
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _listed(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
