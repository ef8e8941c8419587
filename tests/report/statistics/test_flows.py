"""Figures of flows against plain loops."""

from collections import Counter
from typing import Any

import numpy as np

from tracer.core.journeys import JourneySet
from tracer.report.statistics.flows import flows_of


def test_flows_count_their_packets_and_losses(
    recorded: JourneySet, lines: list[dict[str, Any]]
) -> None:
    packets = Counter(journey["flow"] for journey in lines)
    lost = Counter(j["flow"] for j in lines if j["outcome"] in ("vanished", "dropped"))
    flows = flows_of(recorded)
    assert {flow.flow: flow.journeys for flow in flows} == dict(packets)
    assert {flow.flow: flow.lost for flow in flows if flow.lost} == dict(lost)
    for flow in flows:
        own = [journey for journey in lines if journey["flow"] == flow.flow]
        assert flow.first_ns == min(journey["first_ns"] for journey in own)
        assert flow.last_ns == max(journey["last_ns"] for journey in own)
        requests = [journey for journey in own if journey["request"] is None]
        if flow.original.src is not None and requests:
            first = requests[0]["hops"][0]
            assert (flow.original.src, flow.original.dst) == (first["src"], first["dst"])
        if flow.translated is not None:
            seen = {(hop["src"], hop["dst"]) for journey in own for hop in journey["hops"]}
            assert (flow.translated.src, flow.translated.dst) in seen
        answered = [journey for journey in own if journey["reply"]]
        assert answered or np.isnan(flow.rtt_ns[0])
