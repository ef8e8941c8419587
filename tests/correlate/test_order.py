"""Order of hops where stamps are too coarse to tell it."""

from scenarios.catalogue import make
from scenarios.scoring import score

from tracer.correlate.join import join


def test_equal_stamps_are_put_in_the_usual_order() -> None:
    scenario = make("clock_microseconds", 3, 0.4)
    times = scenario.batch.packets["time_ns"]
    assert len(set(times.tolist())) < 0.75 * len(times)
    found = score(scenario, join(scenario.batch))
    assert found.order_right == 1
    assert found.losses_wrong == 0
