"""Lifetimes of conntrack entries, against what was logged of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.correlate.conntrack.entry_times import ALWAYS, SAME_NS, lifetimes_of
from tracer.correlate.conntrack.proofs import Cuts

EVER, NEVER = ALWAYS
ENTRY = ConntrackEntry(
    Tuple("10.0.0.1", "192.0.2.1", 17, 5060, 5060),
    Tuple("192.0.2.1", "203.0.113.7", 17, 5060, 40_000),
    host="a",
)
OTHER = replace(ENTRY, original=replace(ENTRY.original, src="10.0.0.2"), reply=replace(ENTRY.reply))


def log(*events: tuple[str, int], entry: ConntrackEntry = ENTRY) -> list[ConntrackEntry]:
    return [replace(entry, event=event, time_ns=time) for event, time in events]


def times(entries: list[ConntrackEntry], of: ConntrackEntry = ENTRY) -> list[tuple[int, int]]:
    lives = [life for life in lifetimes_of(entries) if life.entry.original == of.original]
    return [(life.since_ns, life.until_ns) for life in lives]


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ([("NEW", 5), ("UPDATE", 6), ("DESTROY", 9)], [(5, 9)]),
        ([("NEW", 5), ("UPDATE", 6)], [(5, NEVER)]),
        ([("UPDATE", 6), ("DESTROY", 9)], [(EVER, 9)]),
        ([("DESTROY", 9)], [(EVER, 9)]),
        ([("UPDATE", 6)], [(EVER, NEVER)]),
        ([("NEW", 5), ("DESTROY", 9), ("NEW", 20)], [(5, 9), (20, NEVER)]),
        ([("NEW", 5), ("NEW", 20), ("DESTROY", 30)], [(5, 20), (20, 30)]),  # an end was not logged
        ([("DESTROY", 9), ("NEW", 5)], [(5, 9)]),  # files in any order
    ],
)
def test_a_log_says_when(events: list[tuple[str, int]], wanted: list[tuple[int, int]]) -> None:
    assert sorted(times(log(*events))) == wanted


def test_a_dump_was_there_at_any_time_unless_a_log_says_more() -> None:
    assert times([ENTRY]) == [(EVER, NEVER)]
    assert times([ENTRY, *log(("NEW", 5))]) == [(5, NEVER)]
    assert times([ENTRY, *log(("NEW", 5), entry=replace(ENTRY, host="b"))]) == [
        (EVER, NEVER), (5, NEVER),
    ]  # fmt: skip


def test_the_next_user_of_a_tuple_ends_an_entry_whose_end_was_not_logged() -> None:
    entries = log(("NEW", 5)) + log(("NEW", 50), entry=OTHER)
    assert times(entries) == [(5, 50)]
    assert times(entries, OTHER) == [(50, NEVER)]
    elsewhere = log(("NEW", 50), entry=replace(OTHER, netns="b"))
    assert times(log(("NEW", 5)) + elsewhere) == [(5, NEVER)]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20)), max_size=30),
    st.lists(st.tuples(st.integers(0, 6), st.integers(-2, 22)), max_size=30),
)
def test_eras_are_counted_as_searchsorted_would(
    cuts: list[tuple[int, int]], rows: list[tuple[int, int]]
) -> None:
    tuples, times_of = (np.array([c[i] for c in cuts], np.int64) for i in range(2))
    flow, time = (np.array([r[i] for r in rows], np.int64) for i in range(2))
    found = Cuts.at(tuples.astype(np.uint64), times_of).era(flow.astype(np.uint64), time)
    for row in range(len(flow)):
        mine = np.unique(times_of[tuples == flow[row]])
        wanted = 1 + np.searchsorted(mine, time[row], side="right") if len(mine) else 0
        assert found[row] == wanted


def stamped(start: int | None, stop: int | None = None, event: str | None = None) -> ConntrackEntry:
    return replace(ENTRY, start_ns=start, stop_ns=stop, event=event)


S = 10 * SAME_NS


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([stamped(S)], [(S, NEVER)]),
        ([stamped(S), stamped(S), stamped(S + 1)], [(S, NEVER)]),  # dumped again and again
        ([stamped(S), ENTRY], [(S, NEVER)]),
        ([stamped(S, 3 * S, "DESTROY")], [(S, 3 * S)]),  # a log without times
        ([stamped(S), stamped(4 * S)], [(S, 4 * S), (4 * S, NEVER)]),
        ([*log(("NEW", S + 7)), stamped(S)], [(S + 7, NEVER)]),
        ([*log(("UPDATE", 2 * S), ("DESTROY", 3 * S)), stamped(S)], [(S, 3 * S)]),
        ([*log(("NEW", S), ("DESTROY", 3 * S)), stamped(5 * S)], [(S, 3 * S), (5 * S, NEVER)]),
        ([replace(stamped(S), is_local=True)], [(EVER, NEVER)]),
        (
            [
                stamped(None, None, "NEW"),
                stamped(S, 3 * S, "DESTROY"),
                stamped(None, None, "NEW"),
            ],
            [(S, 3 * S), (3 * S, NEVER)],
        ),
    ],
)
def test_the_kernel_stamps_say_when(
    entries: list[ConntrackEntry], wanted: list[tuple[int, int]]
) -> None:
    assert sorted(times(entries)) == wanted


def test_a_stamp_ends_the_entry_that_had_the_tuple_before() -> None:
    entries = [*log(("NEW", 5)), replace(OTHER, start_ns=S)]
    assert times(entries) == [(5, S)]
    assert times(entries, OTHER) == [(S, NEVER)]
