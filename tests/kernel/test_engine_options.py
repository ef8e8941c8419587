"""What an engine is asked for beyond the flow: ring size, bytes, keys, new namespaces."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.kernel.engine_events import (
    UDP_TO_NOBODY,
    at,
    crossed,
    drain_until,
    echo_replied,
    wait_for,
)
from tests.kernel.routed import Routed, routed, run
from tracer.core.address import decode_mac
from tracer.core.filter import FlowFilter
from tracer.sources.live.engine import Engine
from tracer.sources.live.event_layout import FLOW_KEY_DTYPE, Hook

pytestmark = pytest.mark.kernel


def test_a_small_ring_counts_what_it_loses(net: Routed, open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(FlowFilter(proto=1), ring_bytes=4096)
    net.ping(options="-c20")
    events = engine.drain(0.1)
    stats = engine.stats()
    assert stats.ring_full > 0
    assert stats.sent == len(events) <= 4096 // 384
    assert stats.matched == stats.sent + stats.ring_full


def test_snap_holds_the_frame(net: Routed, open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(FlowFilter(icmp_id=22350), snap=120)
    net.ping(options="-c1 -e 22350 -p c0ffee")
    events = drain_until(engine, echo_replied)
    frame = at(events, Hook.XMIT)[0]
    raw = bytes(frame["snap"])[: int(frame["snap_len"])]
    assert len(raw) == int(frame["wire_len"]) == 98
    assert raw[:6].hex(":") == decode_mac(int(frame["dst_mac"]))
    assert b"\xc0\xff\xee\xc0\xff\xee" in raw


def test_headers_alone_are_copied_unless_more_is_asked_for(
    net: Routed, open_engine: Callable[..., Engine]
) -> None:
    engine = open_engine(FlowFilter(host=("10.7.0.0/16",)), snap=192, headers_only=True)
    net.ping(options="-c1 -e 22356 -p c0ffee")
    net.ping_in_vain("-t1 -e 22357 -p c0ffee")
    with pytest.raises(AssertionError):
        run(f"ip netns exec {net.client} python3 -c '{UDP_TO_NOBODY}'")
    events = drain_until(engine, lambda e: bool((e["inner_proto"] == 17).any()))
    sizes = {(int(e["icmp_type"]), int(e["proto"])): set[int]() for e in events}
    for event in at(events, Hook.XMIT):
        raw = bytes(event["snap"])[: int(event["snap_len"])]
        assert b"\xc0\xff\xee" not in raw
        sizes[int(event["icmp_type"]), int(event["proto"])].add(len(raw))
    # Ethernet 14, IPv4 20, ICMP or UDP 8; of an error also the headers that it quotes.
    assert sizes[8, 1] == sizes[0, 1] == sizes[0, 17] == {42}
    assert sizes[11, 1] == sizes[3, 1] == {70}


def test_keys_can_be_followed_before_their_packets_come(
    net: Routed, open_engine: Callable[..., Engine]
) -> None:
    engine = open_engine(FlowFilter(icmp_id=1))
    key = np.zeros(1, FLOW_KEY_DTYPE)
    key["src_lo"], key["dst_lo"] = 0xFFFF0A070102, 0xFFFF0A070202
    key["sport"] = key["dport"] = 22351
    key["proto"] = 1
    engine.follow(key)
    net.ping(options="-c1 -e 22351")
    events = drain_until(engine, lambda e: len(at(e, Hook.CONSUME)) > 0)
    assert len(crossed(net, events)) >= 4


def test_a_namespace_that_appears_is_joined_and_may_go(
    open_engine: Callable[..., Engine],
) -> None:
    engine = open_engine(FlowFilter(icmp_id=22352))
    with routed("new") as net:
        router = net.inum(net.router)
        wait_for(lambda: engine.drain(0.01) is not None and router in engine.joined)
        net.ping(options="-c1 -e 22352")
        events = drain_until(engine, echo_replied)
        assert len(at(events, Hook.NAT)) == 2
    wait_for(lambda: engine.drain(0.01) is not None and router not in engine.joined)
