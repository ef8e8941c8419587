"""The summary as a few lines of text, for a person."""

from collections.abc import Iterator
from typing import Any


def footer_lines(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the lines: counts, clocks that were corrected, what was lost, what was damaged."""
    yield ", ".join(_counts(summary))
    outcomes = summary.get("outcomes", {})
    if outcomes:
        yield "outcomes: " + ", ".join(f"{count} {word}" for word, count in outcomes.items())
    if undecoded := summary.get("undecoded_by"):
        yield "undecoded: " + ", ".join(f"{count} {word}" for word, count in undecoded.items())
    for clock in summary.get("clocks", ()):
        yield _clock(clock)
    lost = {name: count for name, count in summary.get("lost", {}).items() if count}
    if lost:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in lost.items())
        yield f"lost by tracer, not by the network: {counts}"
    for warning in summary["warnings"]:
        yield _warning(warning)


def _counts(summary: dict[str, Any]) -> Iterator[str]:
    yield _number(summary["observations"], "observation")
    if "journeys" in summary:
        shown = summary["shown"]
        hidden = f" ({shown} shown)" if shown != summary["journeys"] else ""
        yield _number(summary["journeys"], "journey") + hidden
        yield _number(summary["exchanges"], "exchange")
        if summary["flow_paths"]:
            yield _number(len(summary["flow_paths"]), "flow path")
        yield f"{summary['unjoined']} unjoined"
        yield f"{summary['ambiguous']} ambiguous"
    yield f"{summary['undecoded']} undecoded"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _clock(clock: dict[str, Any]) -> str:
    uncertainty = clock["uncertainty_ns"]
    bound = "unknown uncertainty" if uncertainty is None else f"± {uncertainty / 1000:.1f} µs"
    drift = f", drift {clock['drift_ppm']:+.2f} ppm" if clock["drift_ppm"] else ""
    samples = f" from {_number(clock['samples'], 'packet')}" if clock["samples"] else ""
    return (
        f"clock of {clock['host']}: {clock['offset_ns'] / 1e9:+.6f} s, {bound}{drift} "
        f"({clock['evidence']}{samples})"
    )


def _warning(warning: dict[str, Any]) -> str:
    where = f"{warning['capture']}: " if warning["capture"] else ""
    offset = f" at byte {warning['offset']}" if warning["offset"] is not None else ""
    times = f", {warning['count']} times" if warning["count"] > 1 else ""
    message = warning["message"].rstrip(".")
    return f"warning: {where}{message}{offset}{times}"
