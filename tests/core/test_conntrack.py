"""Conntrack entries: which side is translated."""

import pytest

from tracer.core.conntrack import ConntrackEntry, Tuple

PING = Tuple("192.168.3.69", "100.121.0.75", 1, icmp_id=22344)
WEB = Tuple("100.121.0.57", "100.122.0.145", 6, 40000, 80)


def test_reversed_twice_is_itself() -> None:
    assert WEB.reversed().reversed() == WEB
    assert WEB.reversed() == Tuple("100.122.0.145", "100.121.0.57", 6, 80, 40000)


@pytest.mark.parametrize(
    ("original", "reply", "snat", "dnat"),
    [
        (PING, PING.reversed(), False, False),
        (PING, Tuple("100.121.0.75", "100.122.0.145", 1, icmp_id=36215), True, False),
        (PING, Tuple("100.121.0.75", "192.168.3.69", 1, icmp_id=36215), True, False),
        (WEB, Tuple("192.168.3.69", "100.121.0.57", 6, 80, 40000), False, True),
        (WEB, Tuple("100.122.0.145", "100.121.0.57", 6, 80, 1024), True, False),
        (WEB, Tuple("192.168.3.69", "10.0.0.1", 6, 8080, 1024), True, True),
    ],
)
def test_what_is_translated(original: Tuple, reply: Tuple, snat: bool, dnat: bool) -> None:
    entry = ConntrackEntry(original, reply)
    assert (entry.is_snat, entry.is_dnat) == (snat, dnat)
