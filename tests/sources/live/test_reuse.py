"""Buffers that are freed and used again are told apart by how often they had been freed before."""

from typing import Any

import numpy as np
import pytest

from tracer.sources.live.event_layout import EVENT_DTYPE, Hook
from tracer.sources.live.reuse import _IDLE_NS, Reuse

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


def test_more_buffers_than_there_is_room_for_never_part_one_lifetime() -> None:
    reuse = Reuse()
    many = [ADDRESS + 256 * number for number in range(200_000)]
    told(reuse, *((1, Hook.KFREE, address) for address in many))
    after = told(reuse, *((2, Hook.RECEIVE, address) for address in many))
    again = told(reuse, *((3, Hook.XMIT, address) for address in many))
    assert again == after
    apart = np.count_nonzero(after)
    assert 30_000 < apart <= 1 << 16


def test_a_slot_is_given_on_when_nothing_looks_for_its_lifetime_any_more() -> None:
    reuse = Reuse()
    many = [ADDRESS + 256 * number for number in range(200_000)]
    told(reuse, *((1, Hook.KFREE, address) for address in many))
    told(reuse, *((2 + _IDLE_NS, Hook.KFREE, address) for address in many[::-1]))
    (found,) = told(reuse, (3 + _IDLE_NS, Hook.RECEIVE, many[-1]))
    assert found == 1
