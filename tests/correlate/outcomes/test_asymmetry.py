"""Answers that come back another way are found and named."""

from dataclasses import replace

import numpy as np
from scenarios.catalogue import make

from tracer.correlate.join import join


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
