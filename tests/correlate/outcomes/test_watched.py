"""How journeys end where a kernel was watched: kept, on the way out, filtered."""

import numpy as np
from made import batch_of

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Outcome
from tracer.core.point import Direction, Point
from tracer.correlate.join import JoinOptions, join
from tracer.correlate.order.kept_flows import FLOWS, KeptFlows
from tracer.correlate.outcomes.watched import NEIGHBOUR_NS, are_looped, is_leaving, kept_here

IN, OUT = Direction.INGRESS, Direction.EGRESS
POD, NIC, END, ROUTER, HOOK = (
    Point("h", "pod", "eth0", OUT), Point("h", "node", "u0", IN), Point("h", "far", "eth0", IN),
    Point("h", "r", "r0", IN), Point("h", "r", hook="postrouting"),
)  # fmt: skip
SKB, SETTLE_NS = 0xFFFF888100000000, 500_000_000
DATAGRAM = {"ip_version": 4, "proto": 17, "sport": 4000, "dport": 9, "src": "10.0.0.2", "ip_id": 7,
            "dst": "10.9.0.2", "payload_len": 20, "ip_len": 48, "ethertype": 0x800, "ifindex": 3,
            "ttl": 64}  # fmt: skip


def seen(points: list[Point], *rows: dict[str, object]) -> ObservationBatch:
    """One datagram in one buffer, 10 us from row to row."""
    made = [
        {**DATAGRAM, "point": at, "time_ns": (at + 1) * 10_000, "skb": SKB, **row}
        for at, row in enumerate(rows)
    ]
    return batch_of(made, points)


def test_a_tunnel_that_ends_keeps_nothing_of_what_it_carries() -> None:
    kept = {"route_error": 0, "route_oif": 3}
    batch = seen([POD, NIC, END], {}, {"encap": 1, "vni": 1, **kept}, {})
    assert not kept_here(batch).any()
    batch.sections["tunnel"] = batch.sections["tunnel"][:0]
    assert kept_here(batch).tolist() == [False, True, False]


def test_a_route_out_or_a_hook_on_the_way_out_is_no_end() -> None:
    forwarded = {"route_error": 0, "route_oif": 4, "route_table": 254}
    local = {"route_error": 0, "route_oif": 4, "route_table": 255}
    batch = seen([ROUTER, ROUTER, HOOK, END], forwarded, local, {}, {})
    assert is_leaving(batch).tolist() == [True, False, True, False]


def test_what_is_on_its_way_out_vanishes_only_when_no_neighbour_can_answer_any_more() -> None:
    batch = seen([POD, ROUTER, HOOK], {}, {}, {"ttl": 63})
    last_ns = int(batch.packets["time_ns"].max())
    for waited_ns, outcome in (
        (SETTLE_NS, Outcome.UNFINISHED), (NEIGHBOUR_NS, Outcome.VANISHED),
    ):  # fmt: skip
        found = join(batch, (), JoinOptions(end_ns=last_ns + waited_ns, settle_ns=SETTLE_NS))
        assert found.journeys["outcome"].tolist() == [outcome]


def dropped(reason: str, error: int, waited_us: int = 10, skb: int = SKB) -> str:
    """Why a datagram ended for which a router found no route, or another error for another."""
    points = [POD, ROUTER, Point("h", "r", "r0", hook="drop")]
    looked = {"route_error": error, "route_table": 254, "skb": skb}
    batch = seen(
        points, {"skb": skb}, looked, {"drop_reason": 2, "time_ns": 20_000 + waited_us * 1_000}
    )
    batch.labels["drop_reason"] = {2: reason}
    found = join(batch)
    (said,) = {found.reasons[n] for n in found.journeys["reason"].tolist() if n >= 0}
    return said


def test_a_drop_without_a_reason_says_what_the_lookup_of_its_buffer_said() -> None:
    assert dropped("NOT_SPECIFIED", -22) == "NOT_SPECIFIED; route: blackhole"
    assert dropped("NOT_SPECIFIED", -13) == "NOT_SPECIFIED; route: prohibited"
    assert dropped("NOT_SPECIFIED", 0) == "NOT_SPECIFIED"
    assert dropped("NOT_SPECIFIED", -22, waited_us=5_000) == "NOT_SPECIFIED"
    assert dropped("NOT_SPECIFIED", -22, skb=SKB + 64) == "NOT_SPECIFIED"


def refused(reason: str, buffers: tuple[int, int]) -> ObservationBatch:
    """A SYN that the router freed, and the reset that answers it."""
    tcp = {"proto": 6, "tcp_seq": 100, "tcp_ack": 0, "tcp_flags": 2, "payload_len": 0}
    back = {"src": "10.9.0.2", "dst": "10.0.0.2", "sport": 9, "dport": 4000, "proto": 6,
            "tcp_seq": 0, "tcp_ack": 101, "tcp_flags": 0x14, "payload_len": 0, "ip_id": 0,
            "skb": SKB + 64}  # fmt: skip
    points = [POD, ROUTER, Point("h", "r", "r0", hook="drop"), Point("h", "r", "r0", OUT),
              Point("h", "pod", "eth0", IN)]  # fmt: skip
    batch = seen(
        points, {**tcp, "skb": buffers[0]}, {**tcp, "skb": buffers[1]},
        {**tcp, "skb": buffers[1], "drop_reason": 8}, back, back,
    )  # fmt: skip
    batch.labels["drop_reason"] = {8: reason}
    return batch


def test_a_rule_that_answers_with_a_reset_has_dropped_all_the_same() -> None:
    for reason, buffers, outcome in (
        ("NETFILTER_DROP", (SKB, SKB), Outcome.DROPPED),
        ("NO_SOCKET", (SKB, SKB), Outcome.DELIVERED),
        ("NETFILTER_DROP", (SKB + 8, SKB), Outcome.DELIVERED),  # a copy of it may have arrived
    ):
        found = join(refused(reason, buffers))
        syn = int(np.flatnonzero(found.journeys["reply"] >= 0)[0])
        assert found.journeys["outcome"][syn] == outcome


LO_OUT, LO_IN = Point("h", "pod", "lo", OUT), Point("h", "pod", "lo", IN)


def test_what_the_loopback_device_brings_has_arrived() -> None:
    """Also where other packets to that address come in by another device."""
    points = [
        LO_OUT,
        LO_IN,
        POD,
        END,
        Point("h", "far", "eth0", OUT),
        Point("h", "pod", "eth0", IN),
    ]
    back = {"src": "10.9.0.2", "dst": "10.0.0.2", "sport": 9, "dport": 4000, "ip_id": 8,
            "skb": SKB + 64}  # fmt: skip
    own = {**back, "src": "10.9.0.9", "dport": 4001, "ip_id": 9, "skb": SKB + 128}
    for ifindex, outcome in ((1, Outcome.DELIVERED), (3, Outcome.VANISHED)):
        rows: list[dict[str, object]] = [{"point": 2}, {"point": 3}]
        rows += [{**back, "point": 4}, {**back, "point": 5}]
        rows += [{**own, "point": at, "ifindex": ifindex} for at in (0, 1)]
        batch = seen(points, *rows)
        assert np.flatnonzero(are_looped(batch)).tolist() == ([5] if ifindex == 1 else [])
        last_ns = int(batch.packets["time_ns"].max())
        found = join(batch, (), JoinOptions(end_ns=last_ns + SETTLE_NS, settle_ns=SETTLE_NS))
        assert found.journeys["outcome"].tolist() == [Outcome.DELIVERED] * 2 + [outcome]
    tunnel = {"ifindex": 1, "encap": 1, "vni": 1}  # what it carries goes on
    assert not are_looped(seen([LO_OUT, LO_IN], tunnel, tunnel)).any()


def refused_here(freed_us: int, acknowledged: int = 101) -> list[tuple[Outcome, int]]:
    """A SYN that its own host refuses: the reset is sent, and then the SYN freed; outcomes and
    answers of the two."""
    tcp = {"proto": 6, "payload_len": 0}
    syn = {"tcp_seq": 100, "tcp_ack": 0, "tcp_flags": 2, "drop_reason": 8, **tcp}
    back = {"src": "10.9.0.2", "dst": "10.0.0.2", "sport": 9, "dport": 4000, "ip_id": 0,
            "tcp_seq": 0, "tcp_ack": acknowledged, "tcp_flags": 0x14, "skb": SKB + 64,
            "ifindex": 1, **tcp}  # fmt: skip
    points = [LO_OUT, LO_IN, Point("h", "pod", hook="drop")]
    batch = seen(points, back, back, {**syn, "time_ns": 10_000 + freed_us * 1_000})
    batch.labels["drop_reason"] = {8: "NETFILTER_DROP"}
    made = join(batch).journeys
    return sorted((Outcome(j["outcome"]), int(j["reply"])) for j in made)


def test_a_reset_before_the_end_of_what_it_acknowledges_answers_it() -> None:
    answered, alone = Outcome.DROPPED, Outcome.DELIVERED
    assert sorted(refused_here(30)) == sorted([(answered, 0), (alone, -1)])
    for freed_us, acknowledged in ((3_000, 101), (30, 102)):
        assert {reply for _, reply in refused_here(freed_us, acknowledged)} == {-1}


def connection(syn_is_kept: bool, last: dict[str, object] | None = None) -> list[Outcome]:
    """A SYN and data that a router may keep itself, and what it passes on for another port."""
    points = [POD, ROUTER, END, Point("h", "r", "r0", hook="drop")]
    tcp = {"proto": 6, "payload_len": 0, "tcp_ack": 0, "tcp_flags": 2}
    route = {"route_error": 0, "route_oif": 3, "route_table": 255} if syn_is_kept else {}
    rows: list[dict[str, object]] = []
    for number, more in enumerate(({}, {"tcp_flags": 24, "tcp_ack": 7, "payload_len": 5})):
        packet = {**tcp, "tcp_seq": 100 + number, "ip_id": 7 + number, "skb": SKB + number, **more}
        rows += [{**packet, "point": 0}, {**packet, "point": 1, **(route if not number else {})}]
    rows += [{**rows[-1], "point": 3, **last}] if last else []
    other = {**tcp, "tcp_seq": 900, "ip_id": 9, "dport": 10, "skb": SKB + 64}
    rows += [{**other, "point": 0}, {**other, "point": 1}, {**other, "point": 2, "ttl": 63}]
    batch = seen(points, *rows)
    batch.labels["drop_reason"] = {8: "TCP_OFOMERGE"}
    last_ns = int(batch.packets["time_ns"].max())
    found = join(batch, (), JoinOptions(end_ns=last_ns + SETTLE_NS, settle_ns=SETTLE_NS))
    return [Outcome(each) for each in found.journeys["outcome"]]


def test_what_needs_no_route_is_kept_where_its_flow_was() -> None:
    """Data of a connection finds the socket, and its route with it, before it is routed."""
    arrived, gone = Outcome.DELIVERED, Outcome.VANISHED
    assert connection(True)[:2] == [arrived, arrived]
    assert connection(False)[:2] == [gone, gone]
    assert connection(True, {"drop_reason": 8})[:2] == [arrived, Outcome.DROPPED]


def test_of_what_comes_in_together_for_an_address_of_the_host_one_route_tells() -> None:
    """Each is of another flow, and the kernel routes the first for all (ip_route_use_hint)."""
    mine = {"route_error": 0, "route_oif": 1, "route_table": 255}
    rows: list[dict[str, object]] = []
    for number, (dst, places) in enumerate(
        [("10.9.0.1", 2), ("10.9.0.1", 2), ("10.9.0.2", 3), ("10.9.0.2", 2)]
    ):
        told = {"dst": dst, "sport": 4000 + number, "ip_id": 7 + number, "skb": SKB + 64 * number}
        more = mine if not number else {}
        rows += [{**told, "point": at, "ttl": 64 - at // 2, **more} for at in range(places)]
    batch = seen([POD, ROUTER, END], *rows)
    last_ns = int(batch.packets["time_ns"].max())
    found = join(batch, (), JoinOptions(end_ns=last_ns + SETTLE_NS, settle_ns=SETTLE_NS))
    arrived = Outcome.DELIVERED
    assert found.journeys["outcome"].tolist() == [arrived, arrived, arrived, Outcome.VANISHED]


def test_what_needs_no_route_is_kept_by_the_host_that_answers() -> None:
    """Also of a connection that nobody saw begin, to an address that others answer for, too."""
    pod_in, out = Point("h", "pod", "eth0", IN), Point("h", "r", "r0", OUT)
    far, back = Point("h", "far", "eth0", OUT), Point("h", "r", "r1", IN)
    points = [POD, ROUTER, END, pod_in, out, far, back]
    tcp = {"proto": 6, "payload_len": 5, "tcp_ack": 7, "tcp_flags": 24}
    turned = {"src": "10.9.0.2", "dst": "10.0.0.2", "sport": 9, "dport": 4000}
    rows: list[dict[str, object]] = []

    def send(number: int, packet: dict[str, object], *ways: tuple[int, int]) -> None:
        told = {"tcp_seq": 100 + number, "ip_id": 20 + number, "skb": SKB + number}
        rows.extend({**tcp, **told, **packet, "point": at, "ttl": ttl} for at, ttl in ways)

    for number in range(4):
        send(number, {"dport": 10}, (0, 64), (1, 64), (2, 63))
        send(10 + number, {**turned, "sport": 10}, (5, 64), (6, 64), (4, 63), (3, 63))
    send(20, {}, (0, 64), (1, 64))
    send(30, {**turned, "payload_len": 0, "tcp_flags": 16}, (4, 64), (3, 64))
    batch = seen(points, *rows)
    last_ns = int(batch.packets["time_ns"].max())
    found = join(batch, (), JoinOptions(end_ns=last_ns + SETTLE_NS, settle_ns=SETTLE_NS))
    (journey,) = [j for j in found.journeys if found.hops["row"][j["first_hop"]] == len(rows) - 4]
    assert journey["outcome"] == Outcome.DELIVERED
    assert journey["reason"] < 0


def test_what_comes_in_by_another_device_later_was_not_kept_before() -> None:
    """ipvlan in mode l3s has the route of the device above looked up before that one has it."""
    upper = Point("h", "up", "u5", IN)
    kept = {"route_error": 0, "route_oif": 1, "route_table": 255}
    for skbs, place in (((SKB, SKB), 2), ((SKB, SKB + 64), 1)):
        batch = seen([POD, NIC, upper], {}, {**kept, "skb": skbs[0]}, {"skb": skbs[1]})
        found = join(batch).journeys
        assert found["outcome"].tolist() == [Outcome.DELIVERED]
        assert found["outcome_point"].tolist() == [place]


def test_a_flow_is_known_to_be_kept_in_later_windows_until_others_took_its_place() -> None:
    kept = KeptFlows()
    kept.add(np.arange(FLOWS, dtype=np.uint64))
    assert kept.has(np.array([0, FLOWS], np.uint64)).tolist() == [True, False]
    kept.add(np.arange(FLOWS, FLOWS + 2, dtype=np.uint64))
    assert kept.has(np.array([0, 1, 2, 3], np.uint64)).tolist() == [True, False, False, True]


def test_a_solicitation_lacks_an_answer_like_an_arp_request_unless_it_hopes_for_none() -> None:
    """Who takes an address asks from the unspecified one whether anybody has it (RFC 4862, 5.4)."""
    asks = {"ip_version": 6, "ethertype": 0x86DD, "proto": 58, "icmp_type": 135, "icmp_code": 0,
            "dst": "ff02::1:ff00:99", "sport": -1, "dport": -1, "ip_id": -1, "ttl": 255,
            "payload_len": 24, "ip_len": 72}  # fmt: skip
    for src, reason, outcome in (
        ("fd00::1", "no answer seen", Outcome.VANISHED), ("::", None, Outcome.DELIVERED),
    ):  # fmt: skip
        batch = seen([POD, NIC], {**asks, "src": src}, {**asks, "src": src})
        last_ns = int(batch.packets["time_ns"].max())
        found = join(batch, (), JoinOptions(end_ns=last_ns + SETTLE_NS, settle_ns=SETTLE_NS))
        (journey,) = found.journeys
        number = int(journey["reason"])
        assert (found.reasons[number] if number >= 0 else None) == reason
        assert journey["outcome"] == outcome
