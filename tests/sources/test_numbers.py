import numpy as np
import pytest

from tracer.sources.numbers import load16, load32, note


@pytest.mark.parametrize("at", [0, 1, 3])
def test_numbers_of_both_byte_orders_are_unsigned(at: int) -> None:
    raw = bytes.fromhex("ff01807ffe00c3")
    data = np.frombuffer(raw, np.uint8)
    for swapped, order in ((False, "little"), (True, "big")):
        assert load32(data, at, swapped) == int.from_bytes(raw[at : at + 4], order)
        assert load16(data, at, swapped) == int.from_bytes(raw[at : at + 2], order)


def test_the_first_place_of_a_finding_stays() -> None:
    counts = np.zeros((2, 2), np.int64)
    for at, found in ((5, False), (7, True), (9, True)):
        note(counts, 1, found, at)
    assert counts.tolist() == [[0, 2], [0, 7]]
