"""Both engines on a real kernel: pings through SNAT; conntrack, tcpdump and each other judge."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.kernel.engine_events import (
    UDP_TO_NOBODY,
    at,
    crossed,
    drain_until,
    dst,
    echo_replied,
    src,
    vars_of,
    wait_for,
)
from tests.kernel.routed import Routed, run
from tracer.core.address import decode_ip, decode_mac
from tracer.core.filter import FlowFilter
from tracer.sources.live import engine as engines
from tracer.sources.live.drop_reasons import drop_reason_name
from tracer.sources.live.engine import Config, Engine
from tracer.sources.live.event_layout import (
    EVENT_VERSION,
    Aux,
    Flag,
    Hook,
    NatHook,
)
from tracer.sources.live.observations import device_name

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")


def test_a_ping_through_snat_is_followed_both_ways(
    net: Routed, open_engine: Callable[..., Engine]
) -> None:
    engine = open_engine(FlowFilter(icmp_id=22344))
    net.ping(options="-c1 -e 22344")
    events = drain_until(engine, echo_replied)
    assert crossed(net, events) == [
        ("client", "c0", "XMIT"),
        ("router", "r0", "RECEIVE"),
        ("router", "r1", "XMIT"),
        ("server", "s0", "RECEIVE"),
        ("server", "s0", "XMIT"),
        ("router", "r1", "RECEIVE"),
        ("router", "r0", "XMIT"),
        ("client", "c0", "RECEIVE"),
    ]
    assert set(events["version"]) == {EVENT_VERSION}
    assert engine.stats().lost == 0
    assert engine.stats().sent == len(events)


def test_nat_is_seen_where_it_happens(net: Routed, open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(FlowFilter(icmp_id=22345))
    net.ping(options="-c1 -e 22345")
    events = drain_until(engine, echo_replied)
    entry = run(f"ip netns exec {net.router} conntrack -L -p icmp 2>/dev/null | grep id=22345")
    original, reply = re.findall(r"src=(\S+) dst=(\S+) type=\d+ code=\d+ id=(\d+)", entry)
    out, back = np.sort(at(events, Hook.NAT), order="time_ns")
    assert (src(out), dst(out), str(out["icmp_id"])) == (reply[1], reply[0], reply[2])
    assert decode_ip(int(out["before_src_hi"]), int(out["before_src_lo"])) == original[0]
    assert str(out["before_icmp_id"]) == original[2] == "22345"
    assert NatHook(int(out["nat_hook"])) is NatHook.POSTROUTING
    assert Aux(int(out["aux"])) is Aux.NAT
    assert (src(back), dst(back), int(back["icmp_id"])) == ("10.7.2.2", "10.7.1.2", 22345)
    assert NatHook(int(back["nat_hook"])) is NatHook.PREROUTING
    # Both carry the entry itself.
    for event in (out, back):
        assert (
            decode_ip(int(event["ct_original_src_hi"]), int(event["ct_original_src_lo"]))
            == (original[0])
        )
        assert decode_ip(int(event["ct_reply_dst_hi"]), int(event["ct_reply_dst_lo"])) == reply[1]
        assert str(event["ct_original_sport"]) == original[2]
        assert str(event["ct_reply_dport"]) == reply[2]
    assert not Flag(int(out["flags"])) & Flag.CT_REPLY
    assert Flag(int(back["flags"])) & Flag.CT_REPLY


def test_headers_are_those_that_tcpdump_sees(
    net: Routed, open_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = open_engine(FlowFilter(icmp_id=22346))
    with sniffing(net.router, "r1", tmp_path) as text:
        net.ping(options="-c3 -t 40 -e 22346")
        lines = text(6)
    events = drain_until(engine, lambda e: len(at(e, Hook.KFREE)) == 3)
    seen = [
        (
            decode_mac(int(e["src_mac"])),
            decode_mac(int(e["dst_mac"])),
            str(e["wire_len"]),
            str(e["ttl"]),
            str(e["ip_id"]),
            f"{src(e)} > {dst(e)}",
            f"id {e['icmp_id']}, seq {e['icmp_seq']}",
        )
        for e in np.sort(events, order="time_ns")
        if e["netns"] == net.inum(net.router)
        and e["hook"] in (Hook.RECEIVE, Hook.XMIT)
        and device_name(e) == "r1"
    ]
    pattern = re.compile(
        r"(\S+) > (\S+), .*?length (\d+): .*ttl (\d+), id (\d+),.*?"
        r"(\S+ > \S+): ICMP echo \w+, (id \d+, seq \d+)"
    )
    assert seen == pattern.findall(lines)
    assert len(seen) == 6


class sniffing:  # noqa: N801 - reads as a verb in `with`
    """tcpdump at one device while the block runs; gives a call that returns its first lines."""

    def __init__(self, namespace: str, device: str, folder: Path) -> None:
        self._command = (
            f"exec ip netns exec {namespace} tcpdump -i {device} -e -n -v -l --immediate-mode icmp"
        )
        self._out = folder / "tcpdump.txt"
        self._errors = folder / "tcpdump.err"

    def __enter__(self) -> Callable[[int], str]:
        with self._out.open("w") as out, self._errors.open("w") as errors:
            self._process = subprocess.Popen(self._command, shell=True, stdout=out, stderr=errors)
        wait_for(lambda: "listening on" in self._errors.read_text())
        return self._text

    def _text(self, packets: int) -> str:
        wait_for(lambda: self._out.read_text().count("ICMP echo") >= packets)
        return self._out.read_text().replace("\n    ", " ")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def test_other_pings_are_left_alone(net: Routed, open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(FlowFilter(icmp_id=22347))
    net.ping(options="-c5 -e 11")
    net.ping(options="-c1 -e 22347")
    events = drain_until(engine, echo_replied)
    # The other flow's ids, before and after SNAT, are nowhere.
    ids = set(at(events, Hook.NAT)["icmp_id"]) | {22347}
    assert set(events["icmp_id"]) == ids
    assert engine.stats().matched < engine.stats().seen


def test_a_drop_has_its_reason_and_place(net: Routed, open_engine: Callable[..., Engine]) -> None:
    rule = f"ip netns exec {net.router} iptables {{}} FORWARD -p icmp -d 10.7.2.2 -j DROP"
    engine = open_engine(FlowFilter(icmp_id=22348))
    run(rule.format("-I"))
    try:
        net.ping_in_vain("-e 22348")
        events = drain_until(engine, echo_replied)
    finally:
        run(rule.format("-D"))
    (dropped,) = at(events, Hook.KFREE)
    assert drop_reason_name(int(dropped["drop_reason"])) == "NETFILTER_DROP"
    assert int(dropped["netns"]) == net.inum(net.router)
    assert int(dropped["location"]) >> 63 == 1


def test_tcp_udp_and_ipv6(net: Routed, open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(FlowFilter(dport=(7001,)))
    server = f"ip netns exec {net.server} python3 -c"
    code = (
        "import socket; s=socket.create_server(('::',7001),family=10,dualstack_ipv6=True);"
        "print('up',flush=True); [s.accept()[0].sendall(b'yes') for _ in 'ab']"
    )
    with subprocess.Popen([*server.split(), code], stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout
        assert listening.stdout.readline() == "up\n"
        for target in ("10.7.2.2", "fd07:2::2"):
            ask = f"import socket; print(socket.create_connection(('{target}',7001)).recv(9))"
            run(f'ip netns exec {net.client} python3 -c "{ask}"')
    events = drain_until(engine, lambda e: {4, 6} <= set(e["ip_version"]))
    tcp = events[(events["flags"] & Flag.TCP) != 0]
    assert set(tcp["proto"]) == {6}
    syn = tcp[(tcp["tcp_flags"] == 2) & (tcp["hook"] == Hook.XMIT)]
    # The SYN leaves client and router: by IPv4 with another source behind the router, by IPv6 not.
    # A SYN that had to wait for a neighbour is sent twice.
    inside, outside = net.inum(net.client), net.inum(net.router)
    assert {(int(e["netns"]), src(e)) for e in syn} == {
        *((inside, "10.7.1.2"), (outside, "10.7.2.1")),
        *((inside, "fd07:1::2"), (outside, "fd07:1::2")),
    }
    assert set(syn["dport"]) == {7001}
    replies = tcp[(tcp["tcp_flags"] & 0x12 == 0x12) & (tcp["hook"] == Hook.XMIT)]
    assert set(replies["sport"]) == {7001}
    assert set(replies["tcp_ack"]) == set(syn["tcp_seq"] + 1)


def test_a_time_exceeded_error_is_joined_by_what_it_quotes(
    net: Routed, open_engine: Callable[..., Engine]
) -> None:
    engine = open_engine(FlowFilter(icmp_id=22349))
    net.ping_in_vain("-t1 -e 22349")
    events = drain_until(engine, lambda e: bool((e["icmp_type"] == 11).any()))
    error = at(events, Hook.XMIT)
    error = error[error["icmp_type"] == 11][0]
    assert Aux(int(error["aux"])) is Aux.QUOTED
    assert (src(error), dst(error)) == ("10.7.1.1", "10.7.1.2")
    assert int(error["inner_sport"]) == 22349
    assert decode_ip(int(error["inner_dst_hi"]), int(error["inner_dst_lo"])) == "10.7.2.2"


def test_arp_is_seen(net: Routed, open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(FlowFilter(proto=-2, host=("10.7.1.0/24",)))
    run(f"ip -n {net.client} neigh flush dev c0")
    net.ping()
    events = drain_until(engine, lambda e: {1, 2} <= set(e["arp_op"][e["aux"] == Aux.ARP]))
    request = events[events["arp_op"] == 1][0]
    assert (src(request), dst(request)) == ("10.7.1.2", "10.7.1.1")
    mac = run(f"ip netns exec {net.client} cat /sys/class/net/c0/address").strip()
    assert decode_mac(int(request["arp_sender_mac"])) == mac
    assert decode_mac(int(request["dst_mac"])) == "ff:ff:ff:ff:ff:ff"
    assert set(events["ethertype"]) == {0x0806}


def test_both_engines_give_the_same_events(net: Routed) -> None:
    config = Config(FlowFilter(host=("10.7.0.0/16", "fd07::/16")), snap=64)
    with (
        engines.open_engine("core", config) as core,
        engines.open_engine("bcc", config) as bcc,
    ):
        core.attach()
        bcc.attach()
        run(f"ip -n {net.client} neigh flush dev c0")
        net.ping(options="-c23 -e 22353")
        net.ping("fd07:2::2", "-c3 -e 22354")
        net.ping(options="-c2 -s 4000 -e 22355")  # fragments
        with pytest.raises(AssertionError):  # nobody listens: an ICMP error comes back
            run(f"ip netns exec {net.client} python3 -c '{UDP_TO_NOBODY}'")
        net.ping(options="-c1 -e 22356")
        ours, theirs = (
            drain_until(engine, lambda e: bool((e["icmp_id"] == 22356).sum() >= 10))
            for engine in (core, bcc)
        )
    # Others on this machine may use the same addresses meanwhile.
    here = [net.inum(name) for name in vars_of(net)]
    ours, theirs = (events[np.isin(events["netns"], here)] for events in (ours, theirs))
    assert {4, 6} <= set(ours["ip_version"])
    assert {Aux.NAT, Aux.QUOTED, Aux.ROUTE, Aux.ARP} <= set(ours["aux"])
    assert len(ours) == len(theirs) > 23 * 16
    for name in ours.dtype.names:
        if name == "snap":
            assert [bytes(e["snap"])[: e["snap_len"]] for e in ours] == [
                bytes(e["snap"])[: e["snap_len"]] for e in theirs
            ]
        elif name != "time_ns":
            assert ours[name].tolist() == theirs[name].tolist(), name


def test_nothing_stays_behind(net: Routed) -> None:
    def ours() -> set[str]:
        held = [fd.read_text() for fd in Path("/proc/self/fdinfo").iterdir() if fd.exists()]
        return set(re.findall(r"^prog_id:\t(\d+)", "\n".join(held), re.MULTILINE))

    def loaded() -> set[str]:
        return set(re.findall(r"^(\d+):", run("bpftool prog show"), re.MULTILINE))

    for name in ENGINES:
        with engines.open_engine(name, Config(FlowFilter(icmp_id=1))) as engine:
            engine.attach()
            held = ours()
            assert len(held & loaded()) >= 8
        wait_for(lambda held=held: not held & loaded())  # type: ignore[misc]
