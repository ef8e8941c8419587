"""Conntrack tuples."""

from tracer.core.conntrack import Tuple

WEB = Tuple("100.121.0.57", "100.122.0.145", 6, 40000, 80)


def test_reversed_twice_is_itself() -> None:
    assert WEB.reversed().reversed() == WEB
    assert WEB.reversed() == Tuple("100.122.0.145", "100.121.0.57", 6, 80, 40000)
