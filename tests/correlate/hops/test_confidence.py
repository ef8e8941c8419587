"""What a join claims is how often such joins are right, on seeds that nothing was fitted to."""

import numpy as np
import pytest
from scenarios.catalogue import CLAIMS_ONLY, make
from scenarios.scoring import claims

from tracer.correlate.hops.confidence import (
    CELLS,
    CERTAIN,
    CONFIDENCE,
    PROVEN,
    Z,
    counted_on,
    table,
)
from tracer.correlate.join import JoinOptions, join

ALIKE = (
    "udp_equal_id0",
    "udp_equal_lossy",
    "udp_equal_far",
    *CLAIMS_ONLY,
    "tcp_duplicate_acks",
    "icmp6_errors_nat",
    "adverse_2",
    "adverse_4",
    "loss",
)


def test_joins_are_right_as_often_as_they_claim() -> None:
    parts = []
    for name in ALIKE:
        for seed in (31, 32):
            scenario = make(name, seed, 0.4)
            result = join(scenario.batch, scenario.conntrack, JoinOptions())
            parts.append(claims(scenario.truth, result)[:2])
    claimed = np.concatenate([part for part, _ in parts])
    right = np.concatenate([part for _, part in parts])
    sure = claimed >= 0.99
    assert sure.sum() > 5000
    assert right[sure].mean() >= 0.99
    for low, high in ((0.5, 0.8), (0.8, 0.95)):
        mine = (claimed >= low) & (claimed < high)
        assert mine.sum() > 200
        assert right[mine].mean() == pytest.approx(claimed[mine].mean(), abs=0.1)


@pytest.mark.parametrize("name", CLAIMS_ONLY)
def test_joins_claim_no_more_where_losses_leave_open_which_packet_it_is(name: str) -> None:
    scenarios = [make(name, seed, 2.0) for seed in (1, 31, 33)]
    parts = [claims(each.truth, join(each.batch))[:2] for each in scenarios]
    claimed, right = (np.concatenate(column) for column in zip(*parts, strict=True))
    sure = claimed >= 0.99
    assert sure.sum() > 2000
    assert right[sure].mean() >= 0.99
    assert (~right).sum() > 50


def test_no_cell_claims_more_than_was_measured() -> None:
    measured = {0: (1000, 100), 1: (400, 0), 2: (10, 10), PROVEN: (5000, 0)}
    found = table(measured)
    assert found[0] == pytest.approx(0.9, abs=0.03)
    assert found[0] < 0.9
    assert 0.99 < found[1] < 1
    assert 0.85 < found[2] < 0.95  # too few of its own: as those that differ in the last part only
    assert found[PROVEN] > 0.999


def test_every_situation_has_a_confidence() -> None:
    assert CONFIDENCE.shape == (CELLS,)
    assert ((CONFIDENCE > 0) & (CONFIDENCE < 1)).all()


def test_a_confidence_is_the_lower_bound_of_what_it_was_counted_on() -> None:
    levels = np.unique(CONFIDENCE[np.float32(CERTAIN) > CONFIDENCE])
    assert len(levels) > 20
    for level in levels.tolist():
        joins, wrong = counted_on(level)
        # Where the score test (R. G. Newcombe, Stat. Med. 17, 1998) puts the share that was right.
        spread = Z * (level * (1 - level) / joins) ** 0.5
        assert 1 - wrong / joins - level == pytest.approx(spread, rel=0.01)
    joins, wrong = counted_on(CERTAIN)
    assert joins > 100_000
    assert wrong / joins < 1e-4
