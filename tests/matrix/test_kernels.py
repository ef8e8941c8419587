"""Debian's kernels 6.1 and 6.12: NAT, OVS, VLAN 20, both engines; tcpdump, conntrack and OVS judge.

The traffic is that of guest.py, the network that of net.py.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from guests import ENGINES, Guest
from net import DEVICES

from tracer.report.jsonl import journey_lines
from tracer.sources.live.event_layout import Hook

pytestmark = [pytest.mark.matrix, pytest.mark.kernel]

Journey = dict[str, Any]
#: ICMP ids of guest.py, and how many requests each ping sent.
OUT, IN, DROPPED = 22344, 22345, 22347
SENT = {OUT: 5, IN: 3, DROPPED: 1}
#: Pings that a host's own NAT translates, and one that the router refuses behind its DNAT.
OWN_SERVICE, OWN_SECOND, EXPIRED = 22350, 22351, 22352
VM, SERVER, OUTSIDE, FLOATING = "10.7.1.2", "10.7.2.2", "10.7.2.1", "10.7.2.100"
OWN, SERVICE, SECOND = "10.7.3.2", "10.8.96.1", "10.8.97.5"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def journeys(guest: Guest, engine: str) -> list[Journey]:
    lines = b"".join(journey_lines(guest.journeys[engine]))
    return [json.loads(line) for line in lines.splitlines()]


def echoes(found: list[Journey], kind: str, icmp_id: int) -> list[Journey]:
    """Journeys of one ping's requests or replies, in the order of sequence numbers."""
    chosen = [
        j for j in found if j["kind"] == kind and icmp_id in {hop["icmp_id"] for hop in j["hops"]}
    ]
    return sorted(chosen, key=lambda j: j["hops"][0]["icmp_seq"])


def place(hop: dict[str, Any]) -> str:
    """`netns/device>` out of a device, `>netns/device` into it; or with the hook's name."""
    name = "/".join(part for part in (hop["netns"], hop["device"]) if part)
    if hop["hook"]:
        return f"{name} {hop['hook']}"
    return f"{name}>" if hop["direction"] == "egress" else f">{name}"


def places(journey: Journey) -> list[str]:
    return [place(hop) for hop in journey["hops"]]


#: Where a request of the VM is seen, and its reply; upcalls come on top.
WAY_OUT = [
    *("vm/v0>", ">router/r0", "router postrouting", "router/r1>"),
    *(">tap", "tap ovs-receive", "wan ovs-send", "wan>", ">ext/p0", ">ext/p0.20"),
]
WAY_BACK = [
    *("ext/p0.20>", "ext/p0>", ">wan", "wan ovs-receive", "tap ovs-send", "tap>"),
    *(">router/r1", "router prerouting", "router/r0>", ">vm/v0"),
]


def test_nat_is_seen_by_what_the_kernel_has(guest: Guest) -> None:
    version = tuple(int(part) for part in guest.facts["kernel"].split(".")[:2])
    wanted = "netfilter" if version >= (6, 4) else "kprobe"
    assert guest.facts["late"]["nat"] == guest.facts["bcc"]["nat"] == wanted


def test_modules_that_come_late_are_attached_to(guest: Guest) -> None:
    before = dict(guest.facts["core"]["missing"])
    assert "openvswitch is not loaded" in before["ovs_receive"]
    later = set(guest.facts["late"]["points"])
    for function in ("ovs_vport_receive", "ovs_dp_upcall", "ovs_vport_send"):
        assert f"kprobe/{function}" in later


def test_nothing_is_lost(guest: Guest, engine: str) -> None:
    stats = guest.facts[engine]["stats"]
    assert stats["ring_full"] == stats["map_full"] == 0
    assert stats["sent"] == len(guest.events[engine])


def test_each_ping_is_one_exchange(guest: Guest, engine: str) -> None:
    found = journeys(guest, engine)
    by_number = {j["journey"]: j for j in found}
    for icmp_id in (OUT, IN):
        requests = echoes(found, "echo-request", icmp_id)
        assert len(requests) == SENT[icmp_id]
        assert [j["hops"][0]["icmp_seq"] for j in requests] == [*range(1, SENT[icmp_id] + 1)]
        assert len({j["reply"] for j in requests}) == SENT[icmp_id]
        for request in requests:
            assert request["outcome"] == "delivered"
            assert by_number[request["reply"]]["outcome"] == "delivered"


def test_a_ping_is_seen_everywhere_on_its_way(guest: Guest, engine: str) -> None:
    found = journeys(guest, engine)
    by_number = {j["journey"]: j for j in found}
    for request in echoes(found, "echo-request", OUT):
        assert without_upcalls(request) == WAY_OUT
        assert without_upcalls(by_number[request["reply"]]) == WAY_BACK
    for request in echoes(found, "echo-request", IN):
        assert without_upcalls(request) == WAY_BACK
        assert without_upcalls(by_number[request["reply"]]) == WAY_OUT


def without_upcalls(journey: Journey) -> list[str]:
    return [where for where in places(journey) if not where.endswith("ovs-upcall")]


def test_both_engines_show_the_same_journeys(guest: Guest) -> None:
    core, bcc = ([_bare(j) for j in journeys(guest, name)] for name in ENGINES)
    assert core == bcc
    assert len(core) > 2 * sum(SENT.values())


def _bare(journey: Journey) -> Journey:
    # Without what differs by nature: each engine has its own clock reading and its own name.
    hops = [
        {k: v for k, v in hop.items() if k not in ("time_ns", "delta_ns", "capture", "frame")}
        for hop in journey["hops"]
    ]
    rest = {k: v for k, v in journey.items() if not k.endswith("_ns")}
    return {**rest, "hops": hops}


def test_the_translation_is_conntracks(guest: Guest, engine: str) -> None:
    entry = next(line for line in guest.text("conntrack.txt").splitlines() if f"id={OUT}" in line)
    original, reply = re.findall(r"src=(\S+) dst=(\S+) type=\d+ code=\d+ id=(\d+)", entry)
    assert original == (VM, SERVER, str(OUT))
    for request in echoes(journeys(guest, engine), "echo-request", OUT):
        first, last = request["hops"][0], request["hops"][-1]
        assert (first["src"], first["dst"], str(first["icmp_id"])) == original
        assert (last["dst"], last["src"], str(last["icmp_id"])) == reply
        (changed,) = [h for h in request["hops"] if any(c["field"] == "src" for c in h["changes"])]
        assert {c.get("cause") for c in changed["changes"] if c["field"] == "src"} == {"snat"}


def test_a_ping_from_outside_is_translated_to_the_vm(guest: Guest, engine: str) -> None:
    for request in echoes(journeys(guest, engine), "echo-request", IN):
        first, last = request["hops"][0], request["hops"][-1]
        assert (place(first), first["dst"]) == ("ext/p0.20>", FLOATING)
        assert (place(last), last["dst"]) == (">vm/v0", VM)


def test_the_bridges_change_the_vlan_and_ovs_agrees(guest: Guest, engine: str) -> None:
    for request in echoes(journeys(guest, engine), "echo-request", OUT):
        vlans = {place(hop): hop["vlan"] for hop in request["hops"]}
        assert vlans["wan>"] == vlans[">ext/p0"] == 20
        assert vlans["router/r1>"] is vlans[">ext/p0.20"] is None
    # One flow of the datapath each way, from port to port: the patch ports are in none of them.
    flows = guest.text("flows.txt")
    assert re.search(r"in_port\(tap\).*actions:push_vlan\(vid=20,pcp=0\),wan", flows)
    assert re.search(r"in_port\(wan\).*vlan\(vid=20.*actions:pop_vlan,tap", flows)


def test_an_upcall_is_bridged(guest: Guest, engine: str) -> None:
    found = journeys(guest, engine)
    by_number = {j["journey"]: j for j in found}
    requests = echoes(found, "echo-request", OUT)
    bridged = {"echo-request": 0, "echo-reply": 0}
    for journey in (*requests, *(by_number[request["reply"]] for request in requests)):
        hooks = [hop["hook"] for hop in journey["hops"]]
        sent = journey["hops"][hooks.index("ovs-send")]["join"]["evidence"]
        if "ovs-upcall" in hooks:
            bridged[journey["kind"]] += 1
            at = hooks.index("ovs-upcall")
            assert hooks[at - 1 : at + 2] == ["ovs-receive", "ovs-upcall", "ovs-send"]
            # OVS sends another buffer than it received; its address may be a reused one.
            if _address(guest, engine, journey, Hook.OVS_UPCALL) != _address(
                guest, engine, journey, Hook.OVS_SEND
            ):
                assert sent in ("conntrack", "fingerprint")
        else:
            assert sent == "skb"
    # Each direction's first packet found no flow; the last one did.
    assert 1 <= bridged["echo-request"] < SENT[OUT]
    assert bridged["echo-reply"] >= 1


def _address(guest: Guest, engine: str, journey: Journey, hook: Hook) -> int:
    hop = next(hop for hop in journey["hops"] if hop["hook"] == hook.name.lower().replace("_", "-"))
    events = guest.events[engine]
    found = events[events["hook"] == hook]
    for name in ("icmp_id", "icmp_seq", "icmp_type"):
        found = found[found[name] == hop[name]]
    (address,) = found["skb"]
    return int(address)


LINE = re.compile(
    r"^\d+\.\d+ (?P<smac>\S+) > (?P<dmac>\S+), ethertype "
    r"(?:802\.1Q \(0x8100\), length \d+: vlan (?P<vlan>\d+), p 0, ethertype )?IPv4.*?"
    r" ttl (?P<ttl>\d+), id (?P<ip>\d+),.*?\) +(?P<src>\S+) > (?P<dst>\S+): "
    r"ICMP echo (?P<kind>\w+), id (?P<id>\d+), seq (?P<seq>\d+)"
)


def _lines(guest: Guest, device: str) -> list[str]:
    return guest.text(f"tcpdump-{device}.txt").replace("\n    ", " ").splitlines()


def _dumped(guest: Guest, device: str, ids: set[int]) -> Counter[tuple[Any, ...]]:
    found = [match.groupdict() for match in map(LINE.match, _lines(guest, device)) if match]
    return Counter(
        (
            *(f["smac"], f["dmac"], f["vlan"] and int(f["vlan"]), int(f["ttl"]), int(f["ip"])),
            *(f["src"], f["dst"], int(f["id"]), int(f["seq"])),
        )
        for f in found
        if int(f["id"]) in ids
    )


def test_every_hop_is_as_tcpdump_shows_it(guest: Guest, engine: str) -> None:
    found = journeys(guest, engine)
    chosen = [
        j
        for icmp_id in SENT
        for k in ("request", "reply")
        for j in echoes(found, f"echo-{k}", icmp_id)
    ]
    ids = {hop["icmp_id"] for j in chosen for hop in j["hops"]}
    for netns, device in DEVICES:
        seen = Counter(
            tuple(
                hop[key]
                for key in (
                    *("src_mac", "dst_mac", "vlan", "ttl", "ip_id"),
                    *("src", "dst", "icmp_id", "icmp_seq"),
                )
            )
            for journey in chosen
            for hop in journey["hops"]
            if (hop["netns"], hop["device"], hop["hook"]) == (netns, device, None)
        )
        dumped = _dumped(guest, device, ids)
        assert seen == dumped, device
        assert len(seen) >= 2 * (SENT[OUT] + SENT[IN]), device


def test_other_traffic_is_left_alone(guest: Guest, engine: str) -> None:
    followed = {hop["icmp_id"] for j in journeys(guest, engine) for hop in j["hops"]}
    # The router's own pings, whose ids its SNAT chose: one flow before the VM's, one after.
    ids = {
        int(match["id"])
        for match in map(LINE.match, _lines(guest, "r1"))
        if match and match["kind"] == "request" and match["src"] == OUTSIDE
    }
    assert len(ids - followed) == 2


def test_a_drop_is_named(guest: Guest, engine: str) -> None:
    (request,) = echoes(journeys(guest, engine), "echo-request", DROPPED)
    assert request["outcome"] == "dropped"
    assert request["reason"] == "NETFILTER_DROP"
    assert request["hops"][-1]["netns"] == "router"


def test_tcp_and_udp_go_through_nat(guest: Guest, engine: str) -> None:
    found = journeys(guest, engine)
    datagrams = [j for j in found if j["proto"] == "udp" and j["hops"][0]["dport"] == 7002]
    assert len(datagrams) == 3
    (syn,) = [j for j in found if j["kind"] == "tcp-syn" and j["hops"][0]["dport"] == 7001]
    for journey in (*datagrams, syn):
        assert journey["hops"][0]["src"] == VM
        assert journey["hops"][-1]["src"] == OUTSIDE
        assert place(journey["hops"][-1]) == ">ext/p0.20"


@dataclass(frozen=True)
class Own:
    """What a host with NAT of its own sent: by the sockets (or ping), before any NAT."""

    proto: str
    src: str
    dst: str
    number: int  # source port, or the ping's id
    packets: int  # at least


def _own(guest: Guest) -> list[Own]:
    found = [
        Own("icmp", OWN, SERVICE, OWN_SERVICE, 1),
        Own("icmp", SECOND, SERVER, OWN_SECOND, 1),
    ]
    for (src, dst), (udp, tcp) in zip(
        ((OWN, SERVICE), (SECOND, SERVER)), guest.facts["own_ports"].values(), strict=True
    ):
        # SYN, ACK, the byte, and the end.
        found += [Own("udp", src, dst, udp, 3), Own("tcp", src, dst, tcp, 4)]
    return found


def test_own_packets_begin_before_nat(guest: Guest, engine: str) -> None:
    found = journeys(guest, engine)
    for own in _own(guest):
        sent = [
            j for j in found for hop in j["hops"][:1]
            if (j["proto"], hop["src"], hop["dst"]) == (own.proto, own.src, own.dst)
            and own.number in (hop["sport"], hop["icmp_id"])
        ]  # fmt: skip
        assert len(sent) >= own.packets, own
        hook = "output" if own.dst == SERVICE else "postrouting"
        for journey in sent:
            before, after, device = journey["hops"][:3]
            assert [place(hop) for hop in (before, after, device)] == [
                f"own {hook}-before-nat", f"own {hook}", "own/o0>",
            ]  # fmt: skip
            assert (after["src"], after["dst"]) == (OWN, SERVER)
            assert after["join"]["evidence"] == "skb"
            assert after["cause"] == ("dnat" if own.dst == SERVICE else "snat")
            assert (journey["outcome"], place(journey["hops"][-1])) == ("delivered", ">ext/p0.20")


def test_answers_to_own_packets_are_translated_back_where_they_come_in(
    guest: Guest, engine: str
) -> None:
    found = journeys(guest, engine)
    for number, hook in ((OWN_SERVICE, "input"), (OWN_SECOND, "prerouting")):
        (request,) = echoes(found, "echo-request", number)
        (reply,) = (j for j in found if j["journey"] == request["reply"])
        assert [place(hop) for hop in reply["hops"]][-2:] == [">own/o0", f"own {hook}"]


def test_an_own_error_begins_before_nat(guest: Guest, engine: str) -> None:
    """The router's: it speaks of the packet behind its DNAT, and for the one that was asked."""
    found = journeys(guest, engine)
    (request,) = echoes(found, "echo-request", EXPIRED)
    (error,) = (j for j in found if j["quotes"] == request["journey"])
    assert [place(hop) for hop in error["hops"]][:3] == [
        "router postrouting-before-nat", "router postrouting", "router/r1>",
    ]  # fmt: skip
    assert [hop["src"] for hop in error["hops"]][:3] == [OUTSIDE, FLOATING, FLOATING]
    (line,) = (text for text in _lines(guest, "r1") if "time exceeded" in text)
    assert f"{FLOATING} > {SERVER}: ICMP time exceeded" in line


def test_without_btf_core_says_what_it_wants(guest: Guest) -> None:
    said = guest.facts["without_types"]["core"]
    assert "BTF" in said["message"]
    assert "--engine bcc" in said["hint"]


def test_without_btf_bcc_reads_the_headers(guest: Guest) -> None:
    said = guest.facts["without_types"]["bcc"]
    if not Path("/lib/modules", guest.facts["kernel"], "build", "include").is_dir():
        assert "headers are not installed" in said["message"]
        assert said["hint"].endswith(f"linux-headers-{guest.facts['kernel']}`.")
        return
    assert len(guest.facts["layouts"]) > 30
    for name, (known, made) in guest.facts["layouts"].items():
        assert made == known, name
    assert said["nat"] == "kprobe"
    hooks = Counter(said["hooks"])
    # Request and reply at every device, and whatever ARP there was.
    assert hooks[Hook.RECEIVE] >= 6
    assert hooks[Hook.XMIT] >= 7
    assert hooks[Hook.NAT] == hooks[Hook.OVS_SEND] == 2
