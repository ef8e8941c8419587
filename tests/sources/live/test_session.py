"""What a session says of times, with an engine that is given a CPU when the test says so."""

import threading
import time
from typing import Any, cast

import numpy as np
import pytest

from tracer.sources.live.drop_reasons import drop_reason_number
from tracer.sources.live.engine import Engine
from tracer.sources.live.engine_base import event_dtype
from tracer.sources.live.event_layout import EVENT_DTYPE, Aux, Flag, Hook
from tracer.sources.live.reader import together
from tracer.sources.live.session import HOLD_NS, Session


class Waiting:
    """An engine in whose ring an event lies, and whose `drain` waits for `go` before it reads."""

    name, dtype = "waiting", EVENT_DTYPE

    def __init__(self) -> None:
        self.until_ns = 0
        self.go, self.is_asked = threading.Event(), threading.Event()
        self._ring: list[Any] = []

    def attach(self) -> None:
        pass

    def happen(self) -> None:
        event = np.zeros(1, EVENT_DTYPE)
        event["time_ns"], event["hook"], event["skb"] = time.monotonic_ns(), Hook.RECEIVE, 1
        event["ip_version"], event["flags"], event["proto"] = 4, Flag.IP | Flag.L4, 17
        self._ring.append(event)

    def drain(self, timeout: float = 0.0) -> Any:
        self.is_asked.set()
        self.go.wait()
        time.sleep(timeout)
        now, events = time.monotonic_ns(), self._ring
        self._ring, self.until_ns = [], now
        return together(events) if events else np.zeros(0, EVENT_DTYPE)

    def close(self) -> None:
        pass


def test_a_time_is_not_over_before_its_events_were_read() -> None:
    engine = Waiting()
    with Session(cast(Engine, engine)) as session:
        session.attach()
        engine.is_asked.wait()
        engine.happen()
        time.sleep(4 * HOLD_NS / 1e9)  # the reader is given no CPU for so long
        assert len(session.observations(0.0)) == 0
        over_ns = session.until_ns
        engine.go.set()
        deadline, found = time.monotonic() + 60, session.observations(0.0)
        while not len(found) and time.monotonic() < deadline:
            found = session.observations(0.001)
        (time_ns,) = found.packets["time_ns"]
        assert over_ns <= time_ns < session.until_ns <= time.time_ns() - HOLD_NS


def test_at_the_end_all_is_over_that_was_read() -> None:
    engine = Waiting()
    engine.go.set()
    with Session(cast(Engine, engine)) as session:
        session.attach()
        engine.happen()
        (time_ns,) = session.rest().packets["time_ns"]
        assert time_ns < session.until_ns <= time.time_ns()


class Given:
    """An engine that has read these events, and no others come."""

    name = "given"

    def __init__(self, events: Any) -> None:
        self.dtype, self._events, self.until_ns = events.dtype, events, 0

    def attach(self) -> None:
        pass

    def drain(self, timeout: float = 0.0) -> Any:
        events, self._events = self._events, self._events[:0]
        self.until_ns = time.monotonic_ns()
        return events

    def close(self) -> None:
        pass


def test_bytes_are_those_of_their_packet_where_cpus_overtake_each_other() -> None:
    events = np.zeros(3, event_dtype(8))
    events["time_ns"] = time.monotonic_ns() - np.array([1000, 3000, 2000])
    events["hook"], events["skb"], events["ip_id"] = Hook.RECEIVE, [1, 2, 3], [1, 2, 3]
    events["ip_version"], events["flags"] = 4, Flag.IP | Flag.IP_ID
    events["snap"] = np.array([bytes([number] * 8) for number in (1, 2, 3)], "V8")
    with Session(cast(Engine, Given(events))) as session:
        session.attach()
        found = session.rest()
        assert found.packets["ip_id"].tolist() == [2, 3, 1]
        assert [bytes(each)[0] for each in session.frames["snap"]] == [2, 3, 1]


class Cut(Given):
    """The same, but what came after a time is not known to be complete before `go`.

    `unread`: it was not read before that, either.
    """

    def __init__(self, events: Any, until_ns: int, unread: bool) -> None:
        super().__init__(events)
        self.go, self.is_cut = threading.Event(), threading.Event()
        self._cut_ns, self._unread, self._asked = until_ns, unread, 0

    def drain(self, timeout: float = 0.0) -> Any:
        self._asked += 1
        if self._asked == 1:
            late = self._unread & (self._events["time_ns"] >= self._cut_ns)
            events, self._events = self._events[~late], self._events[late]
            self.until_ns = self._cut_ns
            return events
        self.is_cut.set()
        self.go.wait()
        time.sleep(timeout)
        return super().drain(timeout)


@pytest.mark.parametrize("unread", [False, True], ids=["read", "unread"])
@pytest.mark.parametrize("until", [0, HOLD_NS], ids=["at-once", "held"])
@pytest.mark.parametrize("cut", [500, 1500, 2500, 3500])
def test_a_route_is_known_wherever_batches_end(cut: int, until: int, unread: bool) -> None:
    began = time.monotonic_ns() - 4 * HOLD_NS
    events = np.zeros(3, EVENT_DTYPE)
    events["time_ns"] = began + np.array([1000, 2000, 3000])
    events["hook"] = [Hook.RECEIVE, Hook.ROUTE, Hook.KFREE]
    events["skb"], events["ip_version"], events["netns"], events["ifindex"] = 1, 4, 2, 3
    events["flags"] = Flag.IP | Flag.DEV
    events["aux"][1], events["route_iif"][1], events["route_error"][1] = Aux.ROUTE, 3, -22
    # Without a reason, and shared with others: a drop only because the route refused it.
    unsaid = drop_reason_number("NOT_SPECIFIED")
    events["drop_reason"][2], events["flags"][2] = (
        unsaid,
        Flag.IP | Flag.DEV | Flag.CLONED | Flag.REASON,
    )
    engine = Cut(events, began + cut + until, unread)
    with Session(cast(Engine, engine)) as session:
        session.attach()
        assert engine.is_cut.wait(60)
        parts = [session.observations(0.0)]
        engine.go.set()
        parts.append(session.rest())
    errors = [int(error) for part in parts for error in part.sections["kernel"]["route_error"]]
    assert errors == [-22, -1]
