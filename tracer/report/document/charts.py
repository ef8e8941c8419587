"""Charts as SVG, drawn by Vega-Lite when the report is made; colours are the page's own."""

import json
import math
from functools import cache
from typing import Any

import numpy as np
from markupsafe import Markup

from tracer.core.errors import HostError
from tracer.report.document.safety import visible
from tracer.report.document.svg import add, markup, restyled
from tracer.report.document.units import duration, moment
from tracer.report.statistics.places import Places
from tracer.report.statistics.quantiles import bin_edges_ns
from tracer.report.statistics.segments import Segment
from tracer.report.statistics.times import Timeline, round_width

_MOST = 30  # segments drawn
_INK, _FAINT, _LINE = "var(--ink)", "var(--faint)", "var(--line)"
_CONFIG: dict[str, Any] = {
    "font": "inherit",
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK, "titleColor": _FAINT, "gridColor": _LINE, "domainColor": _LINE,
        "tickColor": _LINE, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
    },
    "legend": {"labelColor": _INK, "titleColor": _FAINT, "labelFontSize": 12},
}  # fmt: skip


def timeline_chart(timeline: Timeline) -> Markup:
    """Return packets by when they began, what was lost below on a scale of its own."""
    seconds = timeline.width_ns / 1e9
    counts = {"delivered": timeline.arrived, "other": timeline.other, "lost": timeline.lost}
    rows = [
        {
            "x": at * seconds, "end": (at + 0.94) * seconds, "kind": kind, "from": start,
            "to": start + number,
        }
        for kind, numbers in counts.items()
        for at, number in enumerate(numbers)
        if number
        for start in (timeline.arrived[at] if kind == "other" else 0,)
    ]  # fmt: skip
    whole = [0, max(len(timeline.arrived), 1) * seconds]
    after = moment(timeline.start_ns)
    title = f"seconds after {after[11:] if after.startswith('1970') else f'{after} UTC'}"
    kept = [row for row in rows if row["kind"] != "lost"]
    lost = [row for row in rows if row["kind"] == "lost"]
    parts = [_bars(kept, whole, 130, None if lost else title, f"packets in {_width(timeline)}")]
    if lost:
        parts.append(_bars(lost, whole, 55, title, "lost"))
    return _drawn(
        {"vconcat": parts, "spacing": 12},
        "Packets and losses over time",
        f"{sum(timeline.arrived)} delivered, {sum(timeline.lost)} lost, {sum(timeline.other)} "
        f"other, in {len(timeline.arrived)} steps of {_width(timeline)}.",
        "timeline",
    )


def _width(timeline: Timeline) -> str:
    return duration(timeline.width_ns)


def _bars(
    rows: list[dict[str, Any]], whole: list[float], height: int, title: str | None, name: str
) -> dict[str, Any]:
    kinds, colours = ["delivered", "other", "lost"], ["var(--ok)", "var(--none)", "var(--bad)"]
    x: dict[str, Any] = {
        "field": "x", "type": "quantitative", "scale": {"domain": whole, "nice": False},
        "axis": {"title": title, "labels": title is not None, "grid": False},
    }  # fmt: skip
    highest = max((row["to"] for row in rows), default=1)
    y = {
        "field": "from", "type": "quantitative", "scale": {"domain": [0, highest]},
        "axis": {"title": name, "values": _whole_ticks(highest, 4 if height > 100 else 2)},
    }  # fmt: skip
    scale = {"domain": kinds, "range": colours}
    color = {"field": "kind", "scale": scale, "legend": None}
    return {
        "width": 940, "height": height, "data": {"values": rows},
        "mark": {"type": "rect", "aria": False},
        "encoding": {
            "x": x, "x2": {"field": "end"}, "y": y, "y2": {"field": "to"}, "color": color,
        },
    }  # fmt: skip


def _whole_ticks(highest: int, most: int) -> list[int]:
    step = round_width(-(-highest // most))
    return list(range(0, highest + 1, step))


def latency_chart(segments: list[Segment], places: Places) -> Markup | None:
    """Return the distribution of each segment's times, a row each, on a logarithmic scale.

    The segments that take most time in all come first; None where no time is known.
    """
    timed = sorted((each for each in segments if each.timed), key=lambda each: -each.total_ns)
    timed = timed[:_MOST]
    if not timed:
        return None
    names = [segment_name(segment, places) for segment in timed]
    edges = bin_edges_ns() / 1e3
    bins, marks = [], []
    for name, segment in zip(names, timed, strict=True):
        counts = np.array(segment.histogram)
        for at in np.flatnonzero(counts):
            share = float(counts[at] / counts.max())
            bins.append({"s": name, "x": edges[at], "end": edges[at + 1], "share": share})
        for word, value in (("p50", segment.p50_ns), ("p99", segment.p99_ns)):
            marks.append({"s": name, "x": max(value / 1e3, 0.1), "word": word})
    drawn = [_strips(bins, names), _ticks(marks, names)]
    return _drawn(
        {"layer": drawn, "width": 700, "height": {"step": 24}},
        "Distribution of the time of each segment",
        "The table of segments has the quantiles of each.",
        "latency",
    )


def segment_name(segment: Segment, places: Places) -> str:
    """Return `qr-1f6b0aa3-3d → rfp-b6a86b9f-6`, with hosts where they differ."""
    origin = places.places[segment.origin]
    if segment.target < 0:
        return visible(f"{origin.name} → beyond")
    target = places.places[segment.target]
    if origin.host == target.host or not (origin.host and target.host):
        return visible(f"{origin.name} → {target.name}")
    return visible(f"{origin.host}/{origin.name} → {target.host}/{target.name}")


def _x_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    lowest, highest = min(row["x"] for row in rows), max(row["x"] for row in rows)
    return {
        "field": "x", "type": "quantitative",
        "scale": {"type": "log", "domain": [lowest / 1.3, highest * 1.5], "nice": False},
        "axis": {
            "title": "time from one point to the next (logarithmic)",
            "values": _log_ticks(lowest / 1.3, highest * 1.5),
            "labelExpr": "datum.value >= 1e6 ? datum.value / 1e6 + ' s' : datum.value >= 1e3 ? "
            "datum.value / 1e3 + ' ms' : datum.value + ' µs'",
        },
    }  # fmt: skip


def _log_ticks(lowest: float, highest: float) -> list[float]:
    decades = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    steps = (1, 2, 5) if len(decades) <= 6 else (1,)
    return [
        step * 10.0**decade
        for decade in decades
        for step in steps
        if lowest <= step * 10.0**decade <= highest
    ]


def _y_of(names: list[str]) -> dict[str, Any]:
    return {
        "field": "s", "type": "nominal", "sort": names,
        "axis": {"title": None, "labelLimit": 360, "ticks": False, "domain": False, "grid": True},
    }  # fmt: skip


def _strips(bins: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    opacity = {
        "field": "share", "type": "quantitative", "legend": None,
        "scale": {"domain": [0, 1], "range": [0.18, 1]},
    }  # fmt: skip
    return {
        "data": {"values": bins},
        "mark": {"type": "bar", "color": "var(--accent)", "height": 13, "aria": False},
        "encoding": {
            "x": _x_of(bins), "x2": {"field": "end"}, "y": _y_of(names), "opacity": opacity,
        },
    }  # fmt: skip


def _ticks(marks: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    color = {
        "field": "word", "legend": None,
        "scale": {"domain": ["p50", "p99"], "range": [_INK, "var(--nat)"]},
    }  # fmt: skip
    return {
        "data": {"values": marks},
        "mark": {"type": "tick", "thickness": 2.5, "size": 19, "aria": False},
        "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": _y_of(names),
                     "color": color},
    }  # fmt: skip


def _drawn(spec: dict[str, Any], title: str, description: str, name: str) -> Markup:
    text = _converter().vegalite_to_svg(json.dumps({"config": _CONFIG, **spec}))
    svg = restyled(text)
    svg.set("class", "drawing chart")
    svg.set("role", "img")
    svg.set("aria-labelledby", f"{name}-title {name}-description")
    for group in svg.iter("g"):
        for attribute in ("role", "aria-roledescription", "aria-label"):
            group.attrib.pop(attribute, None)
    children = list(svg)
    for child in children:
        svg.remove(child)
    add(svg, "title", title, id=f"{name}-title")
    add(svg, "desc", description, id=f"{name}-description")
    svg.extend(children)
    return markup(svg)


@cache
def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise HostError(
            "The charts of a report need vl-convert.", "Run `pip install 'tracer[report]'`."
        ) from error
    return vl_convert
