"""A stream of observations: each exchange is given out once, when it is over."""

from typing import Any

import numpy as np
import pytest
from made import batch_of

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Outcome
from tracer.core.point import Direction, Point
from tracer.core.ways import REPLY, REQUEST, ways_of
from tracer.correlate.join import JoinOptions, join
from tracer.correlate.windows.settling import CONTEXT_ROWS, LOST_REASON, QUIET_NS, Settling

MS = 1_000_000
SETTLE = 1000 * MS
START = 1_715_333_344_000 * MS
POINTS = tuple(
    Point("h", netns, device, direction)
    for netns, device, direction in (
        ("client", "c0", Direction.EGRESS), ("server", "s0", Direction.INGRESS),
        ("server", "s0", Direction.EGRESS), ("client", "c0", Direction.INGRESS),
    )
)  # fmt: skip


class Stream:
    """A settling whose clock stands where the test puts it (ms since the start)."""

    def __init__(self, context_ns: int = 2 * SETTLE) -> None:
        self.now = START
        self.settling = Settling(
            lambda batch, entries: join(
                batch, entries, JoinOptions(end_ns=self.now, settle_ns=500 * MS)
            ),
            SETTLE,
            context_ns,
        )

    def at(self, ms: float) -> list[tuple[int, str, str]]:
        """(number, kind of icmp, outcome) of what is given out now."""
        self.now = START + int(ms * MS)
        found = self.settling.take(self.now)
        return [] if found is None else told(found)


def told(found: Any) -> list[tuple[int, str, str]]:
    return [
        (found.first_journey + n, "reply" if j["kind"] == 2 else "request",
         Outcome(j["outcome"]).label)
        for n, j in enumerate(found.journeys)
    ]  # fmt: skip


def seen(ms: float, point: int, seq: int) -> dict[str, Any]:
    asks = point < 2
    ends = ("10.0.0.1", "10.0.0.2") if asks else ("10.0.0.2", "10.0.0.1")
    return {
        "time_ns": START + int(ms * MS), "point": point, "ip_version": 4, "proto": 1,
        "src": ends[0], "dst": ends[1], "icmp_type": 8 if asks else 0, "icmp_code": 0,
        "icmp_id": 7, "icmp_seq": seq, "ip_id": 100 + seq if asks else 500 + seq, "ttl": 64,
        "ethertype": 0x800, "wire_len": 98, "ip_len": 84, "payload_len": 56, "frag_offset": 0,
        "skb": (0xA0 if asks else 0xB0) + seq,
    }  # fmt: skip


def request(ms: float, seq: int = 1) -> ObservationBatch:
    return batch_of([seen(ms, 0, seq), seen(ms + 0.01, 1, seq)], POINTS)


def datagram(ms: float, point: int, seq: int) -> dict[str, Any]:
    ports = {"icmp_type": -1, "icmp_code": -1, "icmp_id": -1, "icmp_seq": -1, "sport": 5000,
             "dport": 9000}  # fmt: skip
    return seen(ms, point, seq) | {"proto": 17, **ports}


def reply(ms: float, seq: int = 1) -> ObservationBatch:
    return batch_of([seen(ms, 2, seq), seen(ms + 0.01, 3, seq)], POINTS)


def test_an_answered_exchange_is_given_out_after_a_short_quiet() -> None:
    stream = Stream()
    stream.settling.push(request(0))
    stream.settling.push(reply(1))
    assert stream.at(2) == []
    assert stream.settling.due_ns == START + int(1.01 * MS) + QUIET_NS
    assert stream.at(52) == [(1, "request", "delivered"), (2, "reply", "delivered")]
    assert stream.settling.is_empty
    assert stream.at(5000) == []


def test_an_unanswered_packet_waits_and_has_then_vanished() -> None:
    stream = Stream()
    stream.settling.push(request(0))
    assert stream.at(900) == []
    assert stream.settling.due_ns == START + int(0.01 * MS) + SETTLE
    assert stream.at(1001) == [(1, "request", "vanished")]


def test_an_answer_that_comes_in_time_is_in_the_exchange() -> None:
    stream = Stream()
    stream.settling.push(request(0))
    assert stream.at(100) == []
    stream.settling.push(reply(800))
    assert stream.at(801) == []
    assert stream.at(851) == [(1, "request", "delivered"), (2, "reply", "delivered")]


def test_a_journey_is_forgotten_as_a_whole() -> None:
    # Behind a NAT; half of what was given out is older than what is kept. Were the other half kept,
    # the flow would begin there, and what is sent next would not come from where it begins.
    def natted(ms: float, seq: int) -> ObservationBatch:
        rows = [seen(ms, 0, seq), seen(ms + 0.01, 1, seq)]
        rows[1] |= {"src": "192.0.2.1", "ttl": 63}
        return batch_of(rows, POINTS)

    stream = Stream(context_ns=100 * MS)
    stream.settling.push(natted(0, 1))
    assert len(stream.at(1001)) == 1
    assert stream.at(1100.005) == []
    stream.settling.push(natted(1100.1, 2))
    stream.now = START + 2200 * MS
    found = stream.settling.take(stream.now)
    assert found is not None
    assert ways_of(found).tolist() == [REQUEST]
    assert found.flows["src_lo"].tolist() == [0xFFFF_0A00_0001]


def test_a_flow_whose_question_is_forgotten_keeps_its_way() -> None:
    def datagram(ms: float, answer: bool) -> ObservationBatch:
        # Translated on the way: the source of the question, and back.
        client, outside, server = ("10.0.0.1", 40_000), ("192.0.2.1", 50_000), ("10.0.0.2", 4433)
        ends = [(server, outside), (server, client)] if answer else [
            (client, server), (outside, server)]  # fmt: skip
        rows = []
        for n, ((src, sport), (dst, dport)) in enumerate(ends):
            rows.append(seen(ms + n / 100, 2 * answer + n, 1 + int(ms)))
            rows[-1] |= {"src": src, "dst": dst, "sport": sport, "dport": dport, "proto": 17,
                         "icmp_type": -1, "icmp_code": -1, "icmp_id": -1, "icmp_seq": -1,
                         "ttl": 64 - n, "payload_digest": 9 + int(ms)}  # fmt: skip
        return batch_of(rows, POINTS)

    stream, flows, ways = Stream(context_ns=100 * MS), set[int](), list[int]()
    for ms, answer in ((0, False), (1, True), (9000, True), (9500, True)):
        stream.settling.push(datagram(ms, answer))
        stream.now = START + (ms + 5000) * MS
        found = stream.settling.take(stream.now)
        assert found is not None
        flows |= set(found.journeys["flow"].tolist())
        ways += ways_of(found).tolist()
    assert flows == {0}
    assert ways == [REQUEST, REPLY, REPLY, REPLY]


def test_what_comes_after_its_journey_was_shown_is_not_shown_again() -> None:
    stream = Stream()
    stream.settling.push(batch_of([seen(0, 0, 1)], POINTS))
    stream.settling.push(reply(1))
    assert len(stream.at(60)) == 2
    stream.settling.push(batch_of([seen(0.01, 1, 1)], POINTS))  # drained late
    assert stream.at(3000) == []


def test_journeys_are_numbered_on_and_flows_keep_theirs() -> None:
    stream = Stream()
    flows = []
    for seq in range(1, 4):
        stream.settling.push(request(100 * seq, seq))
        stream.settling.push(reply(100 * seq + 1, seq))
        stream.now = START + (100 * seq + 80) * MS
        found = stream.settling.take(stream.now)
        assert found is not None
        assert found.first_journey == 2 * seq - 1
        flows.append(set(found.journeys["flow"].tolist()))
    assert flows == [{0}] * 3


def test_the_rest_comes_with_the_flush() -> None:
    stream = Stream()
    stream.settling.push(request(0))
    stream.now = START + 10 * MS
    found = stream.settling.flush()
    assert found is not None
    assert told(found) == [(1, "request", "unfinished")]  # it may still have been answered
    assert stream.settling.flush() is None


@pytest.mark.parametrize("lost", [True, False])
def test_what_the_tracer_lost_is_not_blamed_on_the_network(lost: bool) -> None:
    stream = Stream()
    stream.settling.push(request(0))
    if lost:
        stream.settling.lost_between(START - 5 * MS, START + 5 * MS)
    stream.now = START + 1100 * MS
    found = stream.settling.take(stream.now)
    assert found is not None
    (journey,) = found.journeys
    assert (Outcome(journey["outcome"]) == Outcome.LOST_BY_TRACER) is lost
    assert (found.reasons[journey["reason"]] == LOST_REASON) is lost


def test_that_a_datagram_was_dropped_may_be_what_the_tracer_lost() -> None:
    stream = Stream()
    for ms, seq in ((0, 1), (900, 2)):
        sent, arrived = datagram(ms, 0, seq), datagram(ms + 0.01, 1, seq)
        stream.settling.push(batch_of([sent, arrived], POINTS))
    stream.settling.lost_between(START - 5 * MS, START + 5 * MS)
    stream.now = START + 3000 * MS
    found = stream.settling.take(stream.now)
    assert found is not None
    reasons = [found.reasons[number] if number >= 0 else None
               for number in found.journeys["reason"]]  # fmt: skip
    assert [Outcome(outcome) for outcome in found.journeys["outcome"]] == [Outcome.DELIVERED] * 2
    assert reasons == [LOST_REASON, None]


def test_a_loss_long_ago_marks_nothing() -> None:
    stream = Stream()
    stream.settling.lost_between(START - 9000 * MS, START - 8000 * MS)
    stream.settling.push(request(0))
    assert stream.at(1100) == [(1, "request", "vanished")]


def test_what_was_given_out_is_forgotten_after_a_while() -> None:
    stream = Stream(context_ns=10 * MS)
    stream.settling.push(request(0))
    stream.settling.push(reply(1))
    assert len(stream.at(60)) == 2
    stream.at(1100)
    assert stream.settling.held == 0


def test_what_is_kept_is_bounded_under_load() -> None:
    stream = Stream()
    count = CONTEXT_ROWS // 4 + 500
    one = batch_of([seen(0, 0, 1), seen(0.01, 1, 1), seen(0.1, 2, 1), seen(0.11, 3, 1)], POINTS)
    rows = np.tile(np.arange(4), count)
    packets, kernel = one.packets[rows], one.sections["kernel"][rows]
    number = np.repeat(np.arange(count), 4)
    packets["time_ns"] += number * 20_000
    packets["icmp_seq"] = kernel["skb"] = number + 1
    kernel["skb"] += packets["icmp_type"].astype(np.uint64) * 100_000
    packets["ip_id"] = number % 60_000 + packets["icmp_type"]
    kernel["row"] = np.arange(len(rows))
    made = ObservationBatch(packets, one.sections | {"kernel": kernel}, one.points, one.captures)
    stream.settling.push(made)
    assert len(stream.at(count * 0.02 + 60)) == 2 * count
    assert stream.settling.held <= CONTEXT_ROWS
