"""Answers that come back another way are found and named."""

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
