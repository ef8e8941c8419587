"""Loss, delay and reordering per segment against what the simulated network did."""

import numpy as np
from scenarios.catalogue import make

from tracer.core.enums import Outcome
from tracer.core.journeys import NO_TIME
from tracer.correlate.join import join
from tracer.correlate.segments_stats import segment_statistics


def test_losses_lie_on_the_segment_that_lost() -> None:
    scenario = make("loss", 3)
    found = join(scenario.batch)
    table = segment_statistics(found)
    vanished = int((found.journeys["outcome"] == Outcome.VANISHED).sum())
    assert 0 < table["lost"].sum() <= vanished
    wire = {"enp175s0f1", "core1"}  # the link between them is the one that loses
    points = scenario.batch.points
    lossy = table[table["lost"] > 0]
    ends = [{points[a].device, points[b].device}
            for a, b in zip(lossy["from_point"], lossy["to_point"], strict=True)]  # fmt: skip
    assert all(pair == wire for pair in ends)
    assert 0 < table["resent"].sum() <= table["lost"].sum()


def test_percentiles_rise_and_overtaking_is_counted() -> None:
    table = segment_statistics(join(make("reordering", 3).batch))
    known = table[table["p50_ns"] != NO_TIME]
    assert (known["p50_ns"] <= known["p90_ns"]).all()
    assert (known["p90_ns"] <= known["p99_ns"]).all()
    assert (known["p99_ns"] <= known["max_ns"]).all()
    assert table["reordered"].sum() > 0
    assert segment_statistics(join(make("snat_dvr", 3).batch))["lost"].sum() == 0


def test_records_are_by_flow() -> None:
    table = segment_statistics(join(make("snat_dvr", 3).batch))
    assert (np.diff(table["flow"]) >= 0).all()
