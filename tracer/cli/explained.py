"""`--explain-joins`: why each hop of a journey was joined, in lines of text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tracer.core.errors import InputError
from tracer.core.journeys import JourneySet
from tracer.core.nat_rules.matching import rules_of_hop

if TYPE_CHECKING:
    from tracer.correlate.explain_joins import JoinReason, Rejected


def explained(journey_set: JourneySet, journey: int) -> Iterator[str]:
    """Yield the lines for a journey by its number; raises InputError when there is none."""
    from tracer.correlate.explain_joins import explain_joins

    index = journey - journey_set.first_journey
    if not 0 <= index < len(journey_set.journeys):
        raise InputError(
            f"There is no journey {journey}.", "Run it without --explain-joins for their numbers."
        )
    yield f"why the hops of journey #{journey} are one packet:"
    reasons = explain_joins(journey_set, index)
    if not reasons:
        yield "  it was seen at one point only: nothing was joined"
    yield from _counted(reasons)
    first = int(journey_set.journeys["first_hop"][index])
    for reason in reasons:
        yield from _reason(reason)
        for rule in rules_of_hop(journey_set, first + reason.n - 1):
            yield f"    {'undoes' if reason.cause.startswith('un-') else 'rule'}: {rule.text}"
            yield f"      in {rule.way}{f' of {rule.netns}' if rule.netns else ''}"


def _counted(reasons: tuple["JoinReason", ...]) -> Iterator[str]:
    # What each confidence rests on, the least first.
    from tracer.correlate.hops.confidence import counted_on

    shown = {r.confidence for r in reasons if r.evidence != "skb" and r.confidence == r.confidence}
    for confidence in sorted(shown):
        joins, wrong = counted_on(confidence)
        yield (
            f"  confidence {confidence:.4g}: {joins - wrong} of {joins} such joins on simulated "
            "networks were right (lower bound, 95 %)"
        )


def _reason(reason: "JoinReason") -> Iterator[str]:
    sure = f", confidence {reason.confidence:.4g}" if reason.confidence == reason.confidence else ""
    candidates = f"{reason.candidates} candidate{'' if reason.candidates == 1 else 's'}"
    yield f"  hop {reason.n} after {reason.parent}: {reason.evidence}, {candidates}{sure}"
    if reason.kept:
        yield f"    equal: {' '.join(reason.kept)}"
    if reason.changed:
        yield f"    changed: {' '.join(reason.changed)} ({reason.cause})"
    if reason.bytes:
        (first, end), (begin, stop) = reason.bytes
        yield f"    of one datagram: bytes {first} to {end} before, {begin} to {stop} here"
    for other in reason.rejected:
        yield f"    not taken: {_rejected(other)}"


def _rejected(other: "Rejected") -> str:
    whose = f" of journey #{other.journey + 1}" if other.journey is not None else ""
    apart = "time unknown" if other.apart_ns is None else f"{other.apart_ns / 1000:+.1f} µs"
    return f"frame {other.frame} of {other.capture}{whose}, {apart}: {other.reason}"
