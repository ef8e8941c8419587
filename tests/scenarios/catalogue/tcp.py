"""What TCP does."""

from typing import Any

import numpy as np

from scenarios.clocks import SECOND
from scenarios.elements import Chain, Link, Offload, Router
from scenarios.nat import Nat
from scenarios.places import EXTERNAL, FIXED, WIRE_NS, dvr, line, snat
from scenarios.scenario import Scenario
from scenarios.traffic import ACK, MILLI, PSH, RST, SYN, Tcp
from scenarios.world import World


def _lossy(name: str, seed: int, scale: float, **options: Any) -> Scenario:
    world = World(seed)
    chain = dvr(world, snat(world), Link(WIRE_NS, 20_000, loss=0.08))
    flows = max(int(40 * scale), 4)
    tcp = Tcp.open(world, chain, flows, src=FIXED, dst=EXTERNAL, **options)
    tcp.talk(5, burst=3)
    tcp.close()
    return world.finish(name)


def retransmissions(seed: int, scale: float) -> Scenario:
    """Lost segments are sent again: same bytes, another IP id and time stamp."""
    return _lossy("tcp_retransmissions", seed, scale)


def retransmissions_same_id(seed: int, scale: float) -> Scenario:
    """Sent again with the same IP id and no time stamps: only time tells them apart."""
    return _lossy("tcp_retransmissions_same_id", seed, scale, same_id=True, stamps=False)


def id_zero(seed: int, scale: float) -> Scenario:
    """One side always sends IP id 0, and there are no time stamps."""
    return _lossy("tcp_id_zero", seed, scale, ids=("counter", "zero"), stamps=False)


def resent_at_once(seed: int, scale: float) -> Scenario:
    """Sent again within a millisecond, with neither IP ids nor time stamps: no copies of others."""
    return _lossy(
        "tcp_resent_at_once", seed, scale, ids=("zero", "zero"), stamps=False, rto_ns=700_000
    )


def keepalives(seed: int, scale: float) -> Scenario:
    """Idle connections: equal keep-alives, zero windows and their probes, seconds apart."""
    world = World(seed)
    chain = dvr(world, snat(world))
    flows = max(int(30 * scale), 4)
    tcp = Tcp.open(world, chain, flows, src=FIXED, dst=EXTERNAL, ids=("zero", "zero"), stamps=False)
    tcp.talk(2)
    everyone = np.arange(flows)
    for _ in range(6):
        tcp.now += SECOND
        tcp.send(0, everyone, ACK, 0, shift=-1)
        tcp.send(1, everyone, ACK)
    for _ in range(4):
        tcp.now += SECOND
        tcp.send(1, everyone, ACK, window=0)
        tcp.send(0, everyone, ACK, 1, shift=-1)
        tcp.send(1, everyone, ACK, window=0)
    return world.finish("tcp_keepalives")


def window_probes(seed: int, scale: float) -> Scenario:
    """A full receiver: windows of zero, probes 200 ms apart, and a window update at once after."""
    world = World(seed)
    chain = dvr(world, snat(world))
    flows = max(int(30 * scale), 4)
    tcp = Tcp.open(world, chain, flows, src=FIXED, dst=EXTERNAL, ids=("zero", "zero"), stamps=False)
    everyone = np.arange(flows)
    for _ in range(3):
        tcp.send(0, everyone, ACK | PSH, 1448, burst=3)
        tcp.send(1, everyone, ACK, window=0)
        for _ in range(4):
            tcp.now += 200 * MILLI
            tcp.send(0, everyone, ACK, 0, shift=-1)
            tcp.send(1, everyone, ACK, window=0)
        for window in (40, 300, 501):  # an application reads: nothing else is new
            tcp.now -= 60_000
            tcp.send(1, everyone, ACK, window=window)
    return world.finish("tcp_window_probes")


def selective_acks(seed: int, scale: float) -> Scenario:
    """Bursts of duplicate ACKs with IP id 0, each with a longer SACK block: nothing else is new."""
    world = World(seed)
    chain = dvr(world, snat(world))
    flows = max(int(20 * scale), 4)
    tcp = Tcp.open(world, chain, flows, src=FIXED, dst=EXTERNAL, ids=("counter", "zero"),
                   stamps=False)  # fmt: skip
    for _ in range(4):
        tcp.send(0, np.arange(flows), ACK | PSH, 1448, burst=6)
        tcp.send(1, np.arange(flows), ACK, burst=5, sacked=1448)
        tcp.send(1, np.arange(flows), ACK | PSH, 200)
    return world.finish("tcp_selective_acks")


def selective_acks_stamped(seed: int, scale: float) -> Scenario:
    """The same with time stamps, which a burst shares, and captures that cut some headers."""
    world = World(seed)
    chain = dvr(world, snat(world))
    flows = max(int(20 * scale), 4)
    tcp = Tcp.open(world, chain, flows, src=FIXED, dst=EXTERNAL)
    for _ in range(4):
        tcp.send(0, np.arange(flows), ACK | PSH, 1448, burst=6)
        tcp.send(1, np.arange(flows), ACK, burst=5, sacked=1448)
        tcp.send(1, np.arange(flows), ACK | PSH, 200)
    world.captures[3].snaplen, world.captures[6].snaplen = 66, 72
    return world.finish("tcp_selective_acks_stamped")


def duplicate_acks(seed: int, scale: float) -> Scenario:
    """Bursts of equal ACKs with IP id 0: nothing tells the ACKs of a burst apart."""
    world = World(seed)
    chain = dvr(world, snat(world))
    flows = max(int(20 * scale), 4)
    tcp = Tcp.open(world, chain, flows, src=FIXED, dst=EXTERNAL, ids=("counter", "zero"))
    tcp.stamps = False
    for _ in range(4):
        tcp.send(0, np.arange(flows), ACK | PSH, 1448, burst=6)
        tcp.send(1, np.arange(flows), ACK, burst=5)
        tcp.send(1, np.arange(flows), ACK | PSH, 200)
    return world.finish("tcp_duplicate_acks")


def out_of_order(seed: int, scale: float) -> Scenario:
    """Bursts whose segments overtake each other on two links."""
    world = World(seed)
    nat = world.nat(snat="203.0.113.7", ports="random")
    shaky = Link(80_000, 30_000, reorder=0.3, hold_ns=120_000)
    chain = Chain(
        world.point("a", "host1"), Router(nat), world.point("b", "host1"), shaky,
        world.point("c", "host2"), Router(), world.point("d", "host2"), shaky,
        world.point("e", "host3"),
    )  # fmt: skip
    tcp = Tcp.open(world, chain, max(int(30 * scale), 4), src=FIXED, dst=EXTERNAL)
    tcp.talk(4, burst=10)
    return world.finish("tcp_out_of_order")


def syn_retries(seed: int, scale: float) -> Scenario:
    """Many SYNs are lost and sent again; closed ports answer RST; some never get an answer."""
    world = World(seed)
    chain = dvr(world, snat(world), Link(WIRE_NS, 20_000, loss=0.4))
    flows = max(int(60 * scale), 6)
    everyone, rng = np.arange(flows), world.rng
    tcp = Tcp(
        world, chain, np.full(flows, 0xFFFF_C0A8_0345, np.uint64),
        np.full(flows, 0xFFFF_6479_004B, np.uint64),
        rng.choice(np.arange(32768, 61000), flows, replace=False), np.full(flows, 22),
        np.arange(flows) * 5_000_000, rto_ns=SECOND, same_id=False,
    )  # fmt: skip
    tcp.send(0, everyone, SYN)
    tcp.send(1, everyone[: flows // 2], RST | ACK, again=False)
    return world.finish("tcp_syn_retries")


def _offloaded(world: World, limit: int = 64, across: bool = False) -> Chain:
    nat: Nat = snat(world)
    return Chain(
        world.point("tap0", "compute03"), Link(),
        world.point("qr-1f6b0aa3", "compute03", "qrouter-b6a86b9f"), Router(nat),
        world.point("rfp-b6a86b9f", "compute03", "qrouter-b6a86b9f"), Link(),
        world.point("enp175s0f1", "compute03"), Offload(), Link(WIRE_NS, 20_000),
        world.point("wire", "switch"), Link(20_000, 4_000),
        Offload(reverse=True, limit=limit, across=across),
        world.point("eth0", "server"),
    )  # fmt: skip


def gso(seed: int, scale: float) -> Scenario:
    """Super-packets inside the hosts are segments on the wire, put together again by GRO."""
    world = World(seed)
    tcp = Tcp.open(world, _offloaded(world), max(int(15 * scale), 3), src=FIXED, dst=EXTERNAL)
    for size in (1448 * 10, 1448 * 4 + 300, 1448 * 30, 700):
        tcp.talk(1, size, burst=2, reply=1448 * 5)
    tcp.close()
    return world.finish("tcp_gso")


def gro_partial(seed: int, scale: float) -> Scenario:
    """GRO puts fewer segments together than GSO took apart."""
    world = World(seed)
    chain = _offloaded(world, limit=4)
    tcp = Tcp.open(world, chain, max(int(15 * scale), 3), src=FIXED, dst=EXTERNAL, stamps=False)
    for size in (1448 * 10, 1448 * 4 + 300, 1448 * 30):
        tcp.talk(1, size, burst=2, reply=1448 * 5)
    return world.finish("tcp_gro_partial")


def gro_across(seed: int, scale: float) -> Scenario:
    """GRO puts segments of several super-packets together: no two points cut a stream alike."""
    world = World(seed)
    chain = _offloaded(world, limit=7, across=True)
    tcp = Tcp.open(world, chain, max(int(15 * scale), 3), src=FIXED, dst=EXTERNAL)
    for size in (1448 * 10, 1448 * 4, 1448 * 30):
        tcp.talk(1, size, burst=4, reply=1448 * 5)
    return world.finish("tcp_gro_across")


def gso_one_way(seed: int, scale: float) -> Scenario:
    """Uploads, of one way only and from their middle on: no packet has one size on both sides."""
    world = World(seed)
    flows = max(int(15 * scale), 3)
    unseen = Chain(Link(WIRE_NS))
    tcp = Tcp.open(world, unseen, flows, src=FIXED, dst=EXTERNAL, back=unseen)
    tcp.chain = Chain(
        world.point("tap0", "compute03"), Router(snat(world)), Link(), Offload(),
        world.point("wire", "switch"),
    )  # fmt: skip
    everyone = np.arange(flows)
    for size in (1448 * 10, 1448 * 4 + 300, 1448 * 30):
        tcp.send(0, everyone, ACK | PSH, size, burst=4)
        tcp.send(1, everyone, ACK)
    return world.finish("tcp_gso_one_way")


def many_flows(seed: int, scale: float) -> Scenario:
    """A thousand connections at once over six points, no translation."""
    world = World(seed)
    chain = line(world, 6)
    tcp = Tcp.open(
        world, chain, max(int(1000 * scale), 20), src="10.8.0.1", dst=EXTERNAL, hosts=50,
        gap_ns=30_000,
    )  # fmt: skip
    tcp.talk(2)
    tcp.close()
    return world.finish("tcp_many_flows")


SCENARIOS = {
    "tcp_retransmissions": retransmissions,
    "tcp_retransmissions_same_id": retransmissions_same_id,
    "tcp_id_zero": id_zero,
    "tcp_resent_at_once": resent_at_once,
    "tcp_keepalives": keepalives,
    "tcp_window_probes": window_probes,
    "tcp_duplicate_acks": duplicate_acks,
    "tcp_selective_acks": selective_acks,
    "tcp_selective_acks_stamped": selective_acks_stamped,
    "tcp_out_of_order": out_of_order,
    "tcp_syn_retries": syn_retries,
    "tcp_gso": gso,
    "tcp_gro_partial": gro_partial,
    "tcp_gro_across": gro_across,
    "tcp_gso_one_way": gso_one_way,
    "tcp_many_flows": many_flows,
}
