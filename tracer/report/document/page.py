"""The whole report as one HTML text: figures, pictures and tables put into the template."""

from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any

from tracer.core.errors import HostError
from tracer.core.journeys import UNTIMED, JourneySet
from tracer.core.protocols import ARP
from tracer.core.values import journeys_of
from tracer.report.document import units
from tracer.report.document.charts import latency_chart, segment_name, timeline_chart
from tracer.report.document.examples import examples_of
from tracer.report.document.health import LEGEND, health_of, standing_out
from tracer.report.document.journey_data import (
    MOST_FLOWS,
    flow_data,
    flow_segment_data,
    journey_data,
    kept_journeys,
)
from tracer.report.document.ladder import ladder
from tracer.report.document.names import with_visible_names
from tracer.report.document.origin import Origin
from tracer.report.document.path_map import path_map
from tracer.report.document.path_views import path_views, path_ways
from tracer.report.document.safety import content_policy, script_json, visible
from tracer.report.document.sentences import what_happened
from tracer.report.roles import short_netns
from tracer.report.statistics.comparison import comparison_of
from tracer.report.statistics.figures import Figures, figures_of
from tracer.report.statistics.places import hop_places
from tracer.report.summary import summary_of

_PACKAGE = "tracer.report.document"
_MOST_WAYS = 3_000
_EVIDENCE = {
    "skb": "the same kernel buffer within one lifetime",
    "conntrack": "both tuples of a connection tracking entry",
    "fingerprint": "fields that forwarding and translation leave alone",
    "renumbered": "such fields, with TCP numbers shifted by a constant of the connection",
    "sequence": "order, numbers and time only: weakest",
}


def render(
    journey_set: JourneySet,
    origin: Origin,
    title: str | None = None,
    before: JourneySet | None = None,
) -> str:
    """Return the report as HTML in one text, to be written as UTF-8.

    With `before`, a section compares the two. Raises HostError where what draws it is missing.
    """
    journey_set = with_visible_names(journey_set)
    figures = figures_of(journey_set)
    comparison = None if before is None else comparison_of(with_visible_names(before), journey_set)
    style, script = _text("style.css"), _text("page.js")
    kept = kept_journeys(journey_set, figures)
    flows = flow_data(journey_set, figures)
    data = {
        "journeys": journey_data(journey_set, figures, kept),
        "flows": flows,
        "flow_segments": flow_segment_data(figures, flows),
    }
    views = path_views(journey_set)
    context = {
        "title": title or _title(journey_set),
        "policy": content_policy(style, script),
        "style": _markup(style),
        "script": _markup(script),
        "data": _markup(script_json(data)),
        "origin": origin,
        "figures": figures,
        "summary": summary_of(journey_set),
        "sentences": what_happened(journey_set, figures),
        "legend": LEGEND,
        "standing_out": standing_out(figures.segments),
        "evidence_words": _EVIDENCE,
        "map": _map(journey_set, figures),
        "timeline": timeline_chart(figures.timeline) if figures.timeline else None,
        "latency": latency_chart(list(figures.segments), figures.places),
        "ladders": _ladders(journey_set, figures),
        "views": views,
        "comparison": comparison,
        "listed": len(kept.journeys),
        "examples": len(kept.examples),
        "most_flows": MOST_FLOWS,
    }
    return str(_template().render(context))


def _title(journey_set: JourneySet) -> str:
    first = journey_set.journeys["first_ns"]
    first = first[first != UNTIMED]
    if not len(first):
        return "Packet journeys"
    return f"Packet journeys, {units.began(int(first.min()))}"


def _map(journey_set: JourneySet, figures: Figures) -> Any:
    ways = path_ways(journey_set, figures.places)
    inferred = bool(ways)
    if not inferred:
        at = hop_places(journey_set, figures.places)
        records = journey_set.journeys[figures.ways.example[:_MOST_WAYS]]
        for record, number in zip(records, figures.ways.counts.tolist(), strict=False):
            hops = at[record["first_hop"] : record["first_hop"] + record["n_hops"]]
            known = [place for place in hops.tolist() if place >= 0]
            if known:
                ways.append((known, number))
    begins = _begins(journey_set, figures)
    return path_map(
        ways,
        begins,
        figures.places.places,
        figures.segments,
        figures.translations,
        inferred=inferred,
    )


def _begins(journey_set: JourneySet, figures: Figures) -> Counter[int]:
    # Where packets begin that answer nothing; neighbour discovery begins everywhere.
    journeys = journey_set.journeys
    own = journeys[(journeys["request"] < 0) & (journeys["proto"] != ARP)]
    at = hop_places(journey_set, figures.places)
    return Counter(at[own["first_hop"]].tolist())


def _ladders(journey_set: JourneySet, figures: Figures) -> list[dict[str, Any]]:
    drawn = []
    for number, example in enumerate(examples_of(journey_set, figures), 1):
        exchange = journeys_of(journey_set, example.journeys)
        drawn.append({
            "title": example.title,
            "numbers": [journey.journey for journey in exchange],
            "svg": ladder(exchange, f"ladder-{number}"),
        })  # fmt: skip
    return drawn


def _text(name: str) -> str:
    return files(_PACKAGE).joinpath(name).read_text("utf-8")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


@cache
def _template() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise HostError(
            "Reports in HTML need jinja2.", "Run `pip install 'tracer[report]'`."
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        ),
    )
    environment.filters |= {
        "duration": units.duration, "number": units.count, "percent": units.percent,
        "moment": units.moment, "size": units.size, "plural": units.plural,
        "health": health_of, "netns": short_netns,
    }  # fmt: skip
    environment.globals["segment_name"] = segment_name
    return environment.get_template("page.html.j2")
