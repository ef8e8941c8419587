"""Values at rows, stored for every packet or in sections."""

import numpy as np
from made import batch_of

from tracer.core.address import NULL_U64, encode_ip
from tracer.core.rows import has_record, nulls, values_at
from tracer.core.schema import BY_NAME

BATCH = batch_of(
    [{"ttl": 1}, {"ttl": 2, "vni": 7, "outer_src": "10.0.0.1"}, {"ttl": 3}, {"ttl": 4, "vni": 9}]
)


def test_packet_columns() -> None:
    (ttl,) = values_at(BATCH, "ttl", np.array([3, -1, 0]))
    assert ttl.tolist() == [4, -1, 1]


def test_section_columns() -> None:
    (vni,) = values_at(BATCH, "vni", np.array([0, 1, 2, 3, -1]))
    assert vni.tolist() == [-1, 7, -1, 9, -1]


def test_addresses_have_two_halves() -> None:
    hi, lo = values_at(BATCH, "outer_src", np.array([1, 3]))
    assert list(zip(hi.tolist(), lo.tolist(), strict=True)) == [
        encode_ip("10.0.0.1"), (NULL_U64, NULL_U64),
    ]  # fmt: skip


def test_an_empty_section_is_null_everywhere() -> None:
    (mark,) = values_at(BATCH, "mark", np.arange(4))
    assert mark.tolist() == [-1] * 4


def test_which_rows_have_a_record() -> None:
    assert has_record(BATCH, "tunnel", np.arange(4)).tolist() == [False, True, False, True]
    assert has_record(BATCH, "arp", np.arange(4)).tolist() == [False] * 4


def test_an_address_is_null_only_in_both_halves() -> None:
    ones = np.array([NULL_U64], np.uint64)
    assert nulls(BY_NAME["src"], (ones, ones)).tolist() == [True]
    assert nulls(BY_NAME["src"], (ones, ones - np.uint64(1))).tolist() == [False]
