"""Offsets between clocks from sequences: a line on one clock says when another's packets were sent.

Each flow seen on both clocks gives an estimate of its own; they are weighed by their uncertainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tracer.core.journeys import ClockEstimate
from tracer.correlate.flow_paths.periods import fit_line, samples_of
from tracer.correlate.flow_paths.sightings import Sighting

SIGMAS = 2.0  # uncertainty is told as two standard deviations


@dataclass(frozen=True, slots=True)
class _Estimate:
    offset_ns: float
    spread_ns: float


def reference_clock(sightings: Sequence[Sighting]) -> str | None:
    """Return the clock that stamped most captures, the first by name among equals."""
    captures: dict[str, set[int]] = {}
    for sighting in sightings:
        captures.setdefault(sighting.clock, set()).add(sighting.capture)
    return min(captures, key=lambda clock: (-len(captures[clock]), clock), default=None)


def estimate_clocks(
    flows: Sequence[Sequence[Sighting]], clocks: Sequence[str]
) -> list[ClockEstimate]:
    """Return an estimate for every clock, the reference first.

    `flows` are the captures of each flow. An offset within its uncertainty is not applied: it is 0
    with that uncertainty. Without a flow that was seen on both clocks nothing bounds it: None.
    """
    reference = reference_clock([sighting for flow in flows for sighting in flow])
    found: dict[str, list[_Estimate]] = {clock: [] for clock in clocks}
    for flow in flows:
        for clock, estimate in _of_flow(flow, reference):
            found.setdefault(clock, []).append(estimate)
    estimates = [_combine(clock, found[clock]) for clock in found if clock != reference]
    if reference is None:
        return estimates
    return [ClockEstimate(reference, 0, 0, evidence="reference"), *estimates]


def _of_flow(flow: Sequence[Sighting], reference: str | None) -> list[tuple[str, _Estimate]]:
    samples = samples_of(flow, {})
    line = fit_line([sample for sample in samples if sample.clock == reference])
    if line is None:
        return []
    return [
        (s.clock, _Estimate(line.time_of(s.seq) - s.time_ns, line.spread_ns(s.seq)))
        for s in samples
        if s.clock != reference
    ]


def _combine(clock: str, estimates: Sequence[_Estimate]) -> ClockEstimate:
    if not estimates:
        return ClockEstimate(clock, 0, None)
    weights = [1.0 / max(each.spread_ns, 1.0) ** 2 for each in estimates]
    total = sum(weights)
    pairs = list(zip(weights, estimates, strict=True))
    mean = sum(weight * each.offset_ns for weight, each in pairs) / total
    # Estimates that disagree more than their spreads say widen the uncertainty.
    excess = sum(weight * (each.offset_ns - mean) ** 2 for weight, each in pairs)
    factor = max(1.0, excess / max(len(estimates) - 1, 1)) ** 0.5
    uncertainty = SIGMAS * factor * total**-0.5
    is_shown = abs(mean) > uncertainty
    return ClockEstimate(
        clock, round(mean) if is_shown else 0, round(uncertainty), samples=len(estimates),
        evidence="sequence" if is_shown else f"sequence, {mean / 1e9:+.2f} s is within its noise",
    )  # fmt: skip
