"""Raw events become observations: which ones, where, and with what columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tracer.core.address import decode_ip
from tracer.core.point import Direction
from tracer.core.values import observations_of
from tracer.sources.live.engine_base import event_dtype
from tracer.sources.live.event_layout import EVENT_DTYPE, Aux, Flag, Hook, NatHook
from tracer.sources.live.observations import ROUTE_WINDOW_NS, to_batch
from tracer.sources.live.untranslated import BEFORE

REASONS = {0: "SKB_NOT_DROPPED_YET", 2: "NOT_SPECIFIED", 3: "NO_SOCKET", 7: "QUEUE_PURGE",
           8: "NETFILTER_DROP"}  # fmt: skip
V4 = 0xFFFF_0000_0000
ICMP = Flag.ETH | Flag.IP | Flag.IP_ID | Flag.L4 | Flag.ECHO | Flag.DEV


class Names:
    """Namespace 1 is the host's own; number 7 goes to others at these times."""

    def __init__(self, turns: tuple[int, ...] = ()) -> None:
        self._turns = turns

    def netns(self, inum: int, time_ns: int) -> str | None:
        if inum == 7:
            return f"ns7-{sum(turn <= time_ns for turn in self._turns)}"
        return None if inum == 1 else f"ns{inum}"

    def turns(self, inums: Sequence[int], first_ns: int, last_ns: int) -> list[int]:
        return [t for t in self._turns if 7 in inums and first_ns < t <= last_ns]


def device_words(name: str) -> dict[str, Any]:
    """The fields that hold a device's name, as the kernel has it."""
    head, tail = np.frombuffer(name.encode().ljust(16, b"\0"), np.uint64)
    return {"dev_name_head": head, "dev_name_tail": tail}


def event(time: int, hook: Hook, **fields: Any) -> Any:
    made = np.zeros(1, EVENT_DTYPE)[0]
    usual = {
        "skb": 0xA, "netns": 2, "ifindex": 3, "flags": ICMP, "ip_version": 4, "ttl": 64,
        "proto": 1, "icmp_type": 8, "icmp_id": 77, "icmp_seq": 5, "ip_id": 1234, "wire_len": 98,
        "ip_len": 84, "src_lo": V4 | 0x0A000001, "dst_lo": V4 | 0x0A000002, "ethertype": 0x800,
        "frag": 0x4000, **device_words("dev3"),
    }  # fmt: skip
    for name, value in {**usual, **fields}.items():
        made[name] = value
    made["time_ns"], made["hook"] = time, hook
    return made


def batch(*events: Any) -> Any:
    raw = np.array([bytes(e.tobytes()) for e in events], f"S{EVENT_DTYPE.itemsize}")
    stacked = np.frombuffer(raw.tobytes(), EVENT_DTYPE)
    return to_batch(
        stacked, stacked["time_ns"].astype(np.int64), Names(), host="h", reason_name=REASONS.get  # type: ignore[arg-type]  # every reason asked for is there
    )  # fmt: skip


def test_columns_are_those_of_the_event() -> None:
    (seen,) = observations_of(batch(event(5, Hook.RECEIVE)), np.array([0]))
    assert (seen.host, seen.netns, seen.device, seen.direction) == ("h", "ns2", "dev3", "ingress")
    assert (seen.src, seen.dst, seen.ttl, seen.ip_id) == ("10.0.0.1", "10.0.0.2", 64, 1234)
    assert (seen.icmp_type, seen.icmp_id, seen.icmp_seq, seen.df) == (8, 77, 5, True)
    assert (seen.sport, seen.tcp_seq, seen.vlan, seen.drop_reason) == (None, None, None, None)
    assert (seen.time_ns, seen.wire_len, seen.ip_len) == (5, 98, 84)


def test_fields_without_their_flag_are_null() -> None:
    (seen,) = observations_of(batch(event(5, Hook.XMIT, flags=Flag.DEV)), np.array([0]))
    assert (seen.src, seen.ttl, seen.src_mac, seen.icmp_id) == (None, None, None, None)


def test_observations_are_in_order_of_time_with_their_place_among_the_events() -> None:
    found = batch(event(9, Hook.XMIT), event(7, Hook.CONSUME), event(5, Hook.RECEIVE))
    assert found.packets["time_ns"].tolist() == [5, 9]
    assert found.packets["frame"].tolist() == [1, 3]
    assert [p.direction for p in found.points] == [Direction.INGRESS, Direction.EGRESS]


def test_a_buffers_address_is_the_kernels_in_each_of_its_uses() -> None:
    """Other tools print it, too: users look for it there."""
    address = 0xFFFF_8881_0A00_0000
    hooks = (Hook.RECEIVE, Hook.XMIT, Hook.CONSUME, Hook.RECEIVE, Hook.CONSUME, Hook.RECEIVE)
    events = [event(time, hook, skb=address) for time, hook in enumerate(hooks)]
    found = observations_of(batch(*events, event(9, Hook.RECEIVE, skb=0)), np.arange(5))
    assert [seen.skb for seen in found] == ["ffff88810a000000"] * 4 + [None]
    assert [seen.skb_use for seen in found] == [0, 0, 1, 2, None]


def test_places_without_a_name_have_their_number_and_the_host_none() -> None:
    (point,) = batch(event(5, Hook.XMIT, netns=1, ifindex=9, **device_words(""))).points
    assert (point.netns, point.device) == (None, "if9")


def test_a_namespace_has_the_name_of_the_moment() -> None:
    events = [event(time, Hook.XMIT, netns=7 - time % 2) for time in range(9)]
    stacked = np.frombuffer(b"".join(e.tobytes() for e in events), EVENT_DTYPE)
    found = to_batch(stacked, np.arange(9), Names((2, 3, 8, 12)))
    names = [found.points[code].netns for code in found.packets["point"]]
    assert names[0::2] == ["ns7-0", "ns7-1", "ns7-2", "ns7-2", "ns7-3"]
    assert names[1::2] == ["ns6"] * 4
    assert len(found.points) == 5


def test_a_device_has_the_name_of_the_moment() -> None:
    """What lies behind the end of a name is left of a longer one."""
    old, new = device_words("eth-of-fifteen0"), device_words("br0\0f-fifteen0")
    events = [event(time, Hook.XMIT, **name) for time, name in enumerate((old, new, old))]
    found = batch(*events)
    names = [found.points[code].device for code in found.packets["point"]]
    assert names == ["eth-of-fifteen0", "br0", "eth-of-fifteen0"]


def test_a_rewrite_is_seen_at_its_hook() -> None:
    found = batch(event(5, Hook.NAT, aux=Aux.NAT, nat_hook=NatHook.POSTROUTING))
    assert [(p.hook, p.device) for p in found.points] == [("postrouting", None)]


def test_before_a_rewrite_is_a_place_of_its_own_and_its_mark_is_not_known() -> None:
    rewrite = {"aux": Aux.NAT, "mark": 0x4000}
    was = event(4, Hook.NAT, nat_hook=NatHook.OUTPUT + BEFORE, **rewrite)
    found = batch(was, event(5, Hook.NAT, nat_hook=NatHook.OUTPUT, **rewrite))
    places = [found.points[code].hook for code in found.packets["point"]]
    assert places == ["output-before-nat", "output"]
    assert found.sections["kernel"]["mark"].tolist() == [-1, 0x4000]


@pytest.mark.parametrize(
    ("reason", "flags", "kept"),
    [
        (8, ICMP, True),
        (0, ICMP, False),
        (3, ICMP | Flag.CLONED, False),
        (3, ICMP, True),
        (2, ICMP | Flag.CLONED, False),
        (2, ICMP, True),
        (7, ICMP & ~Flag.DEV, False),
        (2, (ICMP | Flag.FRAGMENT) & ~Flag.DEV, False),  # put together with others
        (2, ICMP | Flag.FRAGMENT, True),
        (7, ICMP, True),
    ],
)
def test_only_what_was_lost_is_a_drop(reason: int, flags: Flag, kept: bool) -> None:
    freed = event(5, Hook.KFREE, drop_reason=reason, flags=flags | Flag.REASON, location=0xC0DE)
    found = batch(freed)
    assert len(found) == kept
    if kept:
        assert found.sections["kernel"]["drop_reason"].tolist() == [reason]
        assert found.sections["kernel"]["drop_location"].tolist() == [0xC0DE]
        assert found.labels["drop_reason"] == {reason: REASONS[reason]}
        assert [p.hook for p in found.points] == ["drop"]


def route(time: int, **fields: Any) -> Any:
    usual = {"aux": Aux.ROUTE, "route_table": 254, "route_iif": 3, "route_oif": 4}
    return event(time, Hook.ROUTE, **{**usual, **fields})


def routes(*events: Any) -> list[tuple[int, int, int, str | None]]:
    kernel = batch(*events).sections["kernel"]
    return [
        (k["route_table"], k["route_error"], k["route_oif"],
         decode_ip(int(k["route_gateway_hi"]), int(k["route_gateway_lo"])))
        for k in kernel
    ]  # fmt: skip


def test_a_routing_decision_belongs_to_where_the_packet_came_in() -> None:
    found = routes(
        event(5, Hook.RECEIVE),
        route(6, route_error=-11, route_table=255, route_oif=0),
        route(7, route_table=16, route_gateway_lo=V4 | 0x0A0000FE),
        event(9, Hook.XMIT),
    )
    assert found == [(16, 0, 4, "10.0.0.254"), (-1, -1, -1, None)]


def test_without_an_answer_the_error_of_the_last_table_stays() -> None:
    assert routes(event(5, Hook.RECEIVE), route(6, route_error=-101, route_oif=0)) == [
        (254, -101, -1, None)
    ]


def test_what_is_asked_for_another_packet_is_not_noted() -> None:
    nothing = [(-1, -1, -1, None)]
    assert routes(event(5, Hook.RECEIVE), route(6, skb=0xB)) == nothing
    assert routes(event(5, Hook.RECEIVE), route(6, route_iif=1)) == nothing  # an error about it
    assert routes(event(5, Hook.RECEIVE), route(6 + ROUTE_WINDOW_NS)) == nothing


@pytest.mark.parametrize(
    ("before", "lost"),
    [
        ([event(3, Hook.RECEIVE), route(4)], True),  # a former use of the buffer
        ([event(3, Hook.RECEIVE, netns=9), route(4, netns=9)], True),  # a router before
        ([event(3, Hook.RECEIVE, ifindex=7), route(4, ifindex=7)], True),  # what carried it
        ([event(5, Hook.RECEIVE), route(6)], False),
    ],
)
def test_what_a_route_refused_is_lost_though_others_did_not(before: list[Any], lost: bool) -> None:
    unsaid = next(number for number, name in REASONS.items() if name == "NOT_SPECIFIED")
    flags = Flag.REASON | Flag.CLONED | ICMP
    came = [event(5, Hook.RECEIVE)] if lost else []
    freed = event(8, Hook.KFREE, drop_reason=unsaid, flags=flags)
    found = batch(*before, *came, route(7, route_error=-22), freed)
    assert ("drop" in [point.hook for point in found.points]) == lost


def test_bytes_behind_the_events_do_not_matter() -> None:
    plain = np.zeros(3, EVENT_DTYPE)
    plain["hook"], plain["time_ns"], plain["wire_len"] = Hook.XMIT, [1, 2, 3], [10, 20, 30]
    long = np.zeros(3, event_dtype(64))
    for name in EVENT_DTYPE.names or ():
        long[name] = plain[name]
    times = plain["time_ns"].astype(np.int64)
    assert to_batch(long, times, Names()).packets.tolist() == (
        to_batch(plain, times, Names()).packets.tolist()
    )


def test_many_points_have_codes_of_their_own() -> None:
    events = np.zeros(5000, EVENT_DTYPE)
    events["hook"], events["ifindex"], events["netns"] = Hook.XMIT, np.arange(5000) % 2500 + 10, 2
    named = np.array([f"dev{n}" for n in events["ifindex"]], "S16").view(np.uint64)
    events["dev_name_head"], events["dev_name_tail"] = named[0::2], named[1::2]
    found = to_batch(events, np.arange(5000), Names())
    names = [found.points[code].device for code in found.packets["point"]]
    assert names == [f"dev{n % 2500 + 10}" for n in range(5000)]


def test_no_events_are_no_observations() -> None:
    found = to_batch(np.empty(0, EVENT_DTYPE), np.empty(0, np.int64), Names())
    assert (len(found), found.points) == (0, ())
