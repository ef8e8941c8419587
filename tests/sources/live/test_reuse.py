"""Buffers that are freed and used again are told apart by how often they had been freed before."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.sources.live.event_layout import EVENT_DTYPE, Hook
from tracer.sources.live.reuse import _IDLE_NS, Reuse, _empty

ADDRESS = 0xFFFF_8881_0A00_0000


def told(reuse: Reuse, *seen: tuple[int, Hook, int]) -> list[int]:
    """The uses of those (time, hook, skb) that are observations."""
    events = np.zeros(len(seen), EVENT_DTYPE)
    for event, (time, hook, skb) in zip(events, seen, strict=True):
        event["time_ns"], event["hook"], event["skb"] = time, hook, skb
    order = np.argsort(events["time_ns"], kind="stable")
    rows = order[events["hook"][order] != Hook.CONSUME]
    use = np.full(len(rows), -1, np.int64)
    reuse.tell_apart(events, order, rows, use)
    return use.tolist()


@pytest.mark.parametrize("end", [Hook.CONSUME, Hook.KFREE])
def test_each_use_of_a_buffer_has_its_own(end: Hook) -> None:
    uses = range(100)
    seen: list[Any] = []
    for use in uses:
        seen += [(10 * use, Hook.RECEIVE, ADDRESS), (10 * use + 1, Hook.XMIT, ADDRESS),
                 (10 * use + 2, end, ADDRESS)]  # fmt: skip
    found = told(Reuse(), *seen)
    each = np.array(found).reshape(len(uses), -1)  # a drop is an observation, too, and the last
    assert (each == each[:, :1]).all()
    assert each[:, 0].tolist() == list(uses)


def test_a_buffer_freed_in_one_batch_is_another_one_in_the_next() -> None:
    reuse = Reuse()
    before = told(reuse, (1, Hook.RECEIVE, ADDRESS), (2, Hook.CONSUME, ADDRESS))
    after = told(reuse, (3, Hook.RECEIVE, ADDRESS), (4, Hook.XMIT, ADDRESS))
    assert (before, after) == ([0], [1, 1])


def test_order_is_that_of_time() -> None:
    seen = [(3, Hook.RECEIVE, ADDRESS), (1, Hook.RECEIVE, ADDRESS),
            (2, Hook.CONSUME, ADDRESS)]  # fmt: skip
    assert told(Reuse(), *seen) == [0, 1]


def test_no_buffer_stays_none() -> None:
    assert told(Reuse(), (1, Hook.KFREE, 0), (2, Hook.RECEIVE, 0)) == [-1, -1]


def test_however_many_buffers_there_are_each_use_has_its_own() -> None:
    reuse = Reuse()
    many = [ADDRESS + 256 * number for number in range(200_000)]
    told(reuse, *((1, Hook.KFREE, address) for address in many))
    assert told(reuse, *((2, Hook.RECEIVE, address) for address in many)) == [1] * len(many)
    told(reuse, *((3, Hook.CONSUME, address) for address in many[::2]))
    assert told(reuse, *((4, Hook.RECEIVE, address) for address in many)) == [2, 1] * 100_000


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_uses_are_those_that_a_dictionary_counts(data: st.DataObject) -> None:
    hooks = st.sampled_from([Hook.RECEIVE, Hook.XMIT, Hook.CONSUME, Hook.KFREE])
    spread = data.draw(st.sampled_from([3, 5_000]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    steps = data.draw(st.lists(hooks, min_size=1, max_size=20))
    events = [(time, steps[time % len(steps)], ADDRESS + 64 * int(rng.integers(spread)))
              for time in range(1, 12_000)]  # fmt: skip
    parts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    reuse, freed, expected, found = Reuse(), Counter[int](), [], []
    reuse._table = _empty(16)  # it grows as it must
    for start, stop in pairwise([0, *parts, len(events)]):
        found += told(reuse, *events[start:stop])
    for _, hook, skb in events:
        if hook != Hook.CONSUME:
            expected.append(freed[skb])
        freed[skb] += hook in (Hook.CONSUME, Hook.KFREE)
    assert found == expected


def test_buffers_are_forgotten_when_nothing_looks_for_their_lifetime_any_more() -> None:
    reuse = Reuse()
    for number in range(8):
        time = 1 + number * (_IDLE_NS + 1)
        fresh = range(ADDRESS + (number << 32), ADDRESS + (number << 32) + 100_000 * 64, 64)
        told(reuse, *((time, Hook.KFREE, address) for address in fresh))
        assert told(reuse, (time, Hook.RECEIVE, fresh[-1])) == [1]
    assert told(reuse, (time, Hook.RECEIVE, ADDRESS)) == [0]
    assert len(reuse._table[0]) < 8 * 100_000  # all of them would need twice as many, and more
