"""How a segment is doing: the one rule behind every colour in the report."""

from tracer.report.statistics.segments import Segment

BAD_LOSS = 0.05
SLOW_FACTOR, SLOW_NS = 20, 1_000_000
LEGEND = {
    "ok": "nothing lost",
    "slow": "slow now and then: p99 over 1 ms and over 20 × p50",
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
