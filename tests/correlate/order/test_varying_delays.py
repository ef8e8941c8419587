"""Equal packets on links that take longer for some packets than for others."""

import numpy as np
from made import batch_of
from numpy.typing import NDArray
from scenarios.places import EXTERNAL, FIXED

from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join

MILLI = 1_000_000
UDP = {
    "ip_version": 4, "ethertype": 0x800, "ttl": 64, "src": FIXED, "dst": EXTERNAL, "proto": 17,
    "ip_id": 0, "payload_len": 100, "payload_digest": 7, "ip_len": 128, "dport": 5004,
}  # fmt: skip
SENT = np.arange(200) * 2 * MILLI
Rows = list[dict[str, object]]


def passing(sent: NDArray[np.int64], delays: NDArray[np.int64], **own: object) -> Rows:
    """Return rows of packets at both ends of a link, two for each."""
    times = np.column_stack([sent, sent + delays])
    return [
        {**UDP, **own, "point": point, "time_ns": int(times[number, point])}
        for number in range(len(sent))
        for point in range(2)
    ]


def numbered(delays: NDArray[np.int64]) -> Rows:
    """Return rows of packets that are unlike any other, one each millisecond."""
    rows = passing(np.arange(len(delays)) * MILLI, delays, sport=9_000)
    return [
        {**row, "ip_id": 1 + i // 2, "payload_digest": 50 + i // 2} for i, row in enumerate(rows)
    ]


def joined(rows: Rows, stream: Rows) -> tuple[JourneySet, float]:
    """Return what is found, and which share of a stream's packets are whole."""
    found = join(batch_of([*rows, *stream], [Point("h", None, name) for name in ("a", "b")]))
    journey = np.full(len(rows) + len(stream), -1)
    journey[found.hops["row"]] = found.hops["journey"]
    of_stream = journey[len(rows) :]
    return found, float((of_stream[::2] == of_stream[1::2]).mean())


def in_order(rng: np.random.Generator, least: int, most: int) -> NDArray[np.int64]:
    """Return delays between two times (ns) with which no packet of SENT overtakes another."""
    came = np.maximum.accumulate(SENT + rng.integers(least, most, len(SENT)))
    return came + np.arange(len(SENT)) - SENT


def test_equal_packets_of_many_flows_tell_how_long_a_link_takes() -> None:
    rng = np.random.default_rng(1)
    queries = [
        row
        for port in range(60)
        for row in passing(
            np.array([port * 7 * MILLI]), rng.integers(6 * MILLI, 7 * MILLI, 1), sport=20_000 + port
        )
    ]
    found, whole = joined(queries, passing(SENT, in_order(rng, 6 * MILLI, 7 * MILLI), sport=6_000))
    assert whole > 0.99
    assert len(found.journeys) == 60 + len(SENT)


def test_a_few_late_packets_do_not_say_what_is_usual() -> None:
    rng = np.random.default_rng(2)
    delays = rng.integers(5_000_000, 5_600_000, 400)
    delays[::5] += 40 * MILLI
    _, whole = joined(
        numbered(delays), passing(SENT, in_order(rng, 5_000_000, 5_600_000), sport=6_000)
    )
    assert whole > 0.95


def test_packets_that_come_sooner_than_usual_are_no_others() -> None:
    rng = np.random.default_rng(3)
    delays = rng.integers(7 * MILLI, 16 * MILLI, 400)
    found, whole = joined(
        numbered(delays), passing(SENT, in_order(rng, 6 * MILLI, 7 * MILLI), sport=6_000)
    )
    assert whole > 0.9
    assert len(found.journeys) == 400 + len(SENT)


def test_where_packets_overtake_each_other_equal_ones_claim_little() -> None:
    rng = np.random.default_rng(4)
    late = rng.integers(5 * MILLI, 11 * MILLI, 400), rng.integers(5 * MILLI, 11 * MILLI, len(SENT))
    found, whole = joined(numbered(late[0]), passing(SENT, late[1], sport=6_000))
    assert whole < 0.9  # nothing tells them apart
    joins = found.hops[(found.hops["row"] >= 800) & (found.hops["parent"] > 0)]
    assert len(joins) > 0.9 * len(SENT)
    assert (joins["confidence"] >= 0.99).mean() < 0.1
