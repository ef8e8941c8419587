from typing import Any

import numpy as np
import pytest

from tracer.core.errors import TracerError
from tracer.core.filter import FlowFilter
from tracer.sources.live.event_layout import FILTER_DTYPE, Term
from tracer.sources.live.filter import filter_bytes, protocol_mask

ALL = 0xFFFF_FFFF_FFFF_FFFF


def filter_record(flow: FlowFilter) -> Any:
    """The bytes for the kernel, as numpy sees them by the generated layout."""
    return np.frombuffer(filter_bytes(flow), FILTER_DTYPE)[0]


def test_only_terms_in_use_are_set() -> None:
    record = filter_record(FlowFilter(icmp_id=22344))
    assert Term(int(record["terms"])) is Term.ICMP_ID
    assert record["icmp_id"] == 22344
    assert filter_record(FlowFilter())["terms"] == 0


def test_networks_are_mapped_with_their_masks() -> None:
    record = filter_record(FlowFilter(src=("10.0.0.0/8",), host=("fd00::/16", "::1")))
    assert record["src"][:4].tolist() == [0, 0xFFFF_0A00_0000, ALL, 0xFFFF_FFFF_FF00_0000]
    assert record["host"][:4].tolist() == [0xFD00 << 48, 0, 0xFFFF << 48, 0]
    assert record["hosts"] == 2
    assert record["host"][4:8].tolist() == [0, 1, ALL, ALL]


def test_too_many_alternatives_are_left_to_user_space() -> None:
    record = filter_record(FlowFilter(port=(1, 2, 3, 4, 5), sport=(1, 2, 3, 4)))
    assert Term(int(record["terms"])) is Term.SPORT
    assert record["sport"].tolist() == [1, 2, 3, 4]


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(TracerError, match="not-an-address"):
        filter_record(FlowFilter(host=("not-an-address",)))


@pytest.mark.parametrize(
    ("flow", "tunnels", "protocols"),
    [
        (FlowFilter(), True, None),
        (FlowFilter(host=("10.0.0.1",)), False, None),
        (FlowFilter(icmp_id=1), False, {1, 58}),
        (FlowFilter(proto=6), False, {6, 1, 58}),
        (FlowFilter(dport=(53,)), False, {6, 17, 132 & 63, 1, 58}),
        (FlowFilter(proto=6), True, {6, 1, 58, 4, 17, 41, 47}),
    ],
)
def test_the_mask_lets_through_what_can_matter(
    flow: FlowFilter, tunnels: bool, protocols: set[int] | None
) -> None:
    mask = protocol_mask(flow, tunnels)
    bits = {bit for bit in range(64) if mask >> bit & 1}
    assert bits == (protocols if protocols is not None else set(range(64)))
