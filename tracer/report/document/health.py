"""How a segment is doing: the one rule behind every colour in the report."""

from collections.abc import Sequence

from tracer.report.document.units import count, duration, percent, plural
from tracer.report.statistics.segments import Segment

BAD_LOSS, _MOST = 0.05, 4
SLOW_FACTOR, SLOW_NS = 20, 1_000_000
LEGEND = {
    "ok": "nothing lost",
    "slow": "latency spikes: p99 over 1 ms and over 20 × p50",
    "some": "under 5 % lost",
    "bad": "5 % lost or more",
    "none": "nothing passed",
}


def health_of(segment: Segment) -> str:
    """Return the word of `LEGEND` that holds for a segment."""
    if segment.lost:
        return "bad" if segment.loss >= BAD_LOSS else "some"
    if not segment.packets:
        return "none"
    is_slow = segment.p99_ns >= SLOW_NS and segment.p99_ns > SLOW_FACTOR * segment.p50_ns
    return "slow" if is_slow else "ok"


def standing_out(segments: Sequence[Segment]) -> list[tuple[str, list[tuple[Segment, str]]]]:
    """Return what stands out, heading by heading: most loss, most latency, latency spikes."""
    lost = sorted((each for each in segments if each.lost), key=lambda each: -each.lost)[:_MOST]
    timed = [each for each in segments if each.timed]
    total = sum(each.total_ns for each in timed) or 1
    longest = sorted(timed, key=lambda each: -each.total_ns)[:_MOST]
    peaks = sorted((each for each in timed if health_of(each) == "slow"), key=lambda s: -s.p99_ns)
    return [
        ("Most loss", [
            (each, f"{plural(each.lost, 'packet')} of {count(each.packets + each.lost)} lost")
            for each in lost
        ]),
        ("Most latency", [
            (each, f"{percent(each.total_ns / total)} of all, p50 {duration(each.p50_ns)}")
            for each in longest
        ]),
        ("Latency spikes", [
            (each, f"p50 {duration(each.p50_ns)}, but p99 {duration(each.p99_ns)}")
            for each in peaks[:_MOST]
        ]),
    ]  # fmt: skip
