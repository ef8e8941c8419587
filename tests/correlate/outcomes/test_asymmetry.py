"""Answers that come back another way are found and named."""

from dataclasses import replace

import numpy as np
from scenarios.catalogue import make

from tracer.core.enums import Outcome
from tracer.correlate.join import join
from tracer.correlate.outcomes.reasons import CAPTURE_EDGE


def test_answers_over_another_router_are_named() -> None:
    found = join(make("asymmetric", 3, 0.3).batch)
    answers = np.flatnonzero(found.journeys["request"] >= 0)
    texts = {found.reasons[n] for n in found.journeys["reason"][answers]}
    assert texts == {"came back over qr1, rfp1, not over qr0, rfp0"}


def test_answers_that_come_the_same_way_are_not() -> None:
    for name in ("snat_dvr", "capture_holes", "ecmp"):
        found = join(make(name, 3, 0.3).batch)
        assert not any("came back over" in text for text in found.reasons)


def test_devices_called_alike_are_told_apart_by_their_hosts() -> None:
    batch = make("asymmetric", 3, 0.3).batch
    batch.points = tuple(
        replace(point, host=f"host{device[-1]}", netns=None, device=device[:-1])
        if (device := point.device or "")[:-1] in ("qr", "rfp")  # of two routers
        else point
        for point in batch.points
    )
    found = join(batch)
    answers = np.flatnonzero(found.journeys["request"] >= 0)
    texts = {found.reasons[n] for n in found.journeys["reason"][answers]}
    assert texts == {"came back over host1/qr, host1/rfp, not over host0/qr, host0/rfp"}


def test_what_did_not_arrive_says_why_before_which_way_it_came() -> None:
    batch = make("asymmetric", 3, 0.3).batch
    p = batch.packets
    whole = join(batch)
    answer = int(np.flatnonzero(whole.journeys["request"] >= 0)[0])
    stop_ns = np.sort(p["time_ns"])[len(p) // 2]  # then the capture they come to last is over
    kept = (p["point"] != whole.journeys["outcome_point"][answer]) | (p["time_ns"] < stop_ns)
    found = join(batch.take(np.flatnonzero(kept)))
    unfinished = found.journeys["outcome"] == Outcome.UNFINISHED
    late = unfinished & (found.journeys["request"] >= 0)
    texts = {found.reasons[n] for n in found.journeys["reason"][late]}
    assert texts == {f"{CAPTURE_EDGE}; came back over qr1, rfp1, not over qr0, rfp0"}
