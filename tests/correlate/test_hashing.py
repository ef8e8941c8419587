"""Dense codes of keys, against numpy's sorting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made import batch_of

from tracer.core.point import Point
from tracer.correlate.hashing import factorise
from tracer.correlate.packets.identity import identify


def check(keys: np.ndarray) -> None:
    codes, firsts = factorise(keys)
    assert (keys[firsts[codes]] == keys).all()
    assert sorted(firsts.tolist()) == firsts.tolist()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    assert firsts.tolist() == sorted(first.tolist())
    assert len(set(zip(codes.tolist(), inverse.tolist(), strict=True))) == len(first)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 20)))
def test_equal_keys_have_equal_codes_in_order_of_appearance(keys: list[int]) -> None:
    check(np.array(keys, np.uint64))


def test_many_keys_few_or_many_of_them_distinct() -> None:
    rng = np.random.default_rng(1)
    for distinct in (1, 2047, 2048, 2049, 30_000):
        pool = rng.integers(0, 1 << 63, distinct).astype(np.uint64)
        check(pool[rng.integers(0, distinct, 50_000)])
        check(np.repeat(pool, 3))


def test_keys_that_differ_in_few_bits() -> None:
    low = np.arange(5000, dtype=np.uint64)
    for shift in (0, 20, 32, 48):
        check(low << np.uint64(shift))
    check(np.concatenate([low << np.uint64(32) | np.uint64(k) for k in range(8)]))


def test_links_with_small_numbers_are_told_apart() -> None:
    # Containers have MACs one after the other, and so have the ports at which they are captured.
    macs = [f"02:42:ac:11:00:{number:02x}" for number in range(16)]
    rows = [
        {"point": point, "src_mac": macs[a], "dst_mac": macs[b], "ip_version": 4, "proto": 17}
        for point in range(16)
        for a in range(16)
        for b in range(16)
    ]
    points = [Point("c", None, f"veth{number:02}") for number in range(16)]
    assert len(np.unique(identify(batch_of(rows, points)).link)) == len(rows)
