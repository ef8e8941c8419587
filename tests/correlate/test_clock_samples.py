"""Of many packets some compare the clocks, which are of all the time."""

import numpy as np
import pytest
from scenarios.bulk import bulk_batch

from tracer.correlate import clock_samples
from tracer.correlate.join import join

PACKETS, POINTS, MILLI = 10_000, 8, 1_000_000


@pytest.mark.parametrize("step_ms", [0, 40])
def test_a_clock_is_compared_until_the_end(monkeypatch: pytest.MonkeyPatch, step_ms: int) -> None:
    batch, _ = bulk_batch(PACKETS * POINTS)
    servers = [point.host == "server" for point in batch.points]
    is_server = np.array(servers)[batch.packets["point"]]
    time = batch.packets["time_ns"]
    late = time > np.quantile(time, 0.6)
    time[is_server] += 5 * MILLI
    time[is_server & late] += step_ms * MILLI
    monkeypatch.setattr(clock_samples, "MOST_SAMPLES", 20_000)  # of some 100,000

    found = join(batch)

    (server,) = [clock for clock in found.clocks if clock.clock == "server"]
    assert 1_000 < server.samples < 20_000
    assert server.evidence == ("step" if step_ms else "both-ways")
    assert server.offset_ns == pytest.approx(-5 * MILLI, abs=MILLI // 10)
    # But for those that were on their way when the clock was stepped.
    assert len(found.journeys) <= PACKETS + 10
