"""The filter as a value."""

from tracer.core.filter import FlowFilter


def test_no_condition_is_empty() -> None:
    assert FlowFilter().is_empty
    assert not FlowFilter(icmp_id=0).is_empty
    assert not FlowFilter(host=("10.0.0.0/8",)).is_empty
