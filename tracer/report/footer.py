"""The summary as a few lines of text, for a person."""

from collections.abc import Iterator, Sequence
from typing import Any

MOST_NAMES = 12  # in one line
#: What `tracer follow` has against a loss.
_WIDER = {"ring_full": "--ring-size", "map_full": "--map-size"}


def footer_lines(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the lines: counts, clocks that were corrected, what was lost, what was damaged."""
    yield ", ".join(_counts(summary))
    outcomes = summary.get("outcomes", {})
    if outcomes:
        yield "outcomes: " + ", ".join(f"{count} {word}" for word, count in outcomes.items())
    if undecoded := summary.get("undecoded_by"):
        yield "undecoded: " + ", ".join(f"{count} {word}" for word, count in undecoded.items())
    yield from _clocks(summary.get("clocks", ()))
    lost = {name: count for name, count in summary.get("lost", {}).items() if count}
    if dropped := lost.pop("capture_dropped", 0):
        yield f"dropped by captures, not by the network: {_number(dropped, 'packet')}"
    if lost:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in lost.items())
        yield f"lost by tracer, not by the network: {counts}"
        if wider := [option for name, option in _WIDER.items() if name in lost]:
            yield f"less is lost with a narrower filter, or a larger {' and '.join(wider)}"
    yield from _warnings(summary["warnings"])


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


def _clocks(clocks: Sequence[dict[str, Any]]) -> Iterator[str]:
    moved = [clock for clock in clocks if clock["offset_ns"] or clock["uncertainty_ns"]]
    kept = [clock for clock in clocks if clock not in moved]
    for words, one_sided in (("", False), (", offset bounded from one side only", True)):
        names = [each["host"] for each in kept if (each["evidence"] == "one-way") == one_sided]
        if names and len(clocks) > 1:
            yield f"clocks taken as they are{words}: {_listed(names)}"
    for clock in moved:
        yield _clock(clock)


def _listed(names: Sequence[str]) -> str:
    # The JSON summary has them all.
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"


def _clock(clock: dict[str, Any]) -> str:
    uncertainty = clock["uncertainty_ns"]
    if uncertainty is not None:
        bound = f"± {_duration(uncertainty)}"
    elif clock["evidence"] == "one-way":
        bound = "bounded from one side only"
    else:
        bound = "unknown uncertainty"
    drift = f", drift {clock['drift_ppm']:+.2f} ppm" if clock["drift_ppm"] else ""
    samples = f"; {_number(clock['samples'], 'sample')}" if clock["samples"] else ""
    return (
        f"clock of {clock['host']}: {clock['offset_ns'] / 1e9:+.6f} s, {bound}{drift} "
        f"({clock['evidence']}{samples})"
    )


def _duration(nanoseconds: int) -> str:
    if nanoseconds >= 1_000_000:
        return f"{nanoseconds / 1e6:.1f} ms"
    return f"{nanoseconds / 1000:.1f} µs"


def _warnings(warnings: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One line for what is wrong in one way, however many captures it is in."""
    by_message: dict[str, list[dict[str, Any]]] = {}
    for warning in warnings:
        by_message.setdefault(warning["message"].rstrip("."), []).append(warning)
    for message, alike in by_message.items():
        names = [warning["capture"] for warning in alike if warning["capture"]]
        where = f"{names[0]}: " if len(names) == 1 else f"{len(names)} captures: " if names else ""
        offset = f" at byte {alike[0]['offset']}" if _is_one_place(alike) else ""
        count = sum(warning["count"] for warning in alike)
        times = f", {count} times" if count > len(alike) else ""
        yield f"warning: {where}{message}{offset}{times}"


def _is_one_place(alike: Sequence[dict[str, Any]]) -> bool:
    return len(alike) == 1 and alike[0]["offset"] is not None and alike[0]["count"] == 1
