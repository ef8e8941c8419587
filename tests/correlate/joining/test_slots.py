"""In which order equal packets pass devices that few packets were seen at one after the other."""

from typing import Any

import numba
import numpy as np

from tracer.core.schema import PACKET_DTYPE
from tracer.correlate.joining.slots import slots_of

A, B, C = range(3)


@numba.njit
def slots(p: Any, rows: Any, links: Any) -> Any:
    return slots_of(p, rows, rows, links)


def passed(steps: dict[tuple[int, int], int], ttl: tuple[int, int, int] = (64, 64, 64)) -> set[str]:
    """Which of three devices are passed before which, where so many packets made some steps."""
    rows = np.arange(3)
    packets = np.zeros(3, PACKET_DTYPE)
    packets["ttl"] = ttl
    keys = np.array([a << 32 | b for a, b in sorted(steps)], np.uint64)
    votes = np.array([steps[step] for step in sorted(steps)], np.int64)
    slot, count, before = slots(packets, rows, (rows, keys, votes, rows))
    assert slot.tolist() == [0, 1, 2]
    assert count == 3
    return {"ABC"[a] + "ABC"[b] for a, b in np.argwhere(before).tolist()}


def test_order_of_devices_that_no_packet_went_between_directly() -> None:
    assert passed({(A, B): 5, (B, C): 5}) == {"AB", "BC", "AC"}


def test_a_step_that_was_seen_is_not_denied() -> None:
    assert passed({(A, B): 5, (B, C): 5, (C, A): 1}) == {"AB", "BC"}


def test_what_goes_round_has_no_order_beyond_its_steps() -> None:
    assert passed({(A, B): 5, (B, C): 5, (C, A): 5}) == {"AB", "BC", "CA"}


def test_the_ttl_tells_the_rest() -> None:
    assert passed({(A, B): 5, (B, C): 5}, (64, 64, 63)) == {"AB"}
