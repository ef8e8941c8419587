"""Records that are moved as wholes are what numpy moves field by field."""

import numpy as np

from tracer.core.records import copied, joined
from tracer.core.schema import SECTION_DTYPES

DTYPE = SECTION_DTYPES["kernel"]


def made(count: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    random = np.random.default_rng(count)
    return np.frombuffer(random.bytes(count * DTYPE.itemsize), DTYPE)


def test_joined_records_are_those_of_all_parts() -> None:
    parts = [made(3), made(0), made(5)[::2]]
    assert np.array_equal(joined(parts, DTYPE), np.concatenate(parts))
    assert joined([], DTYPE).dtype == DTYPE
    assert len(joined([], DTYPE)) == 0


def test_a_copy_is_the_same_and_apart() -> None:
    records = made(4)
    copy = copied(records)
    assert np.array_equal(copy, records)
    copy["row"] = 7
    assert not np.array_equal(copy, records)
