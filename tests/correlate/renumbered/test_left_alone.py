"""What looks like renumbered TCP and is none, or might be another connection's, stays apart."""

import numpy as np
import pytest
from scenarios.catalogue import make
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL
from scenarios.renumbering import behind_firewall
from scenarios.scenario import Scenario
from scenarios.scoring import claims
from scenarios.traffic import ACK, MILLI, PSH, Tcp
from scenarios.world import World

from tracer.core.address import encode_ip
from tracer.core.enums import Evidence
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join

FLOWS = 12


def renumbered(found: JourneySet) -> int:
    return int((found.hops["evidence"] == Evidence.RENUMBERED).sum())


def wrong(scenario: Scenario, found: JourneySet) -> int:
    return int((~claims(scenario.truth, found)[1]).sum())


def proxied(ids: str, stamps: bool, transparent: bool, seed: int) -> Scenario:
    """Two connections each, which a proxy fills with the same segments, 50 µs later."""
    world = World(seed)
    left = Chain(world.point("eth0", "client"), Link(), Router(), world.point("lan", "proxy"))
    right = Chain(world.point("wan", "proxy"), Link(), Router(), world.point("eth0", "server"))
    ends: dict[str, object] = {"ids": (ids, ids), "stamps": stamps}
    near = Tcp.open(world, left, FLOWS, src="10.8.0.1", dst=EXTERNAL, **ends)  # type: ignore[arg-type]
    src = near.src if transparent else np.full(FLOWS, encode_ip("203.0.113.9")[1], np.uint64)
    far = Tcp(
        world, right, src, near.dst, near.sport if transparent else near.sport + 1, near.dport,
        np.arange(FLOWS) * 3 * MILLI, **ends,  # type: ignore[arg-type]
    )  # fmt: skip
    far.now = near.now + 50_000
    far.shake()
    far.streams = near.streams
    everyone = np.arange(FLOWS)
    for _ in range(4):
        near.now = far.now = np.maximum(near.now, far.now)
        near.send(0, everyone, ACK | PSH, 900, burst=2)
        far.now = near.now + 50_000
        far.send(0, everyone, ACK | PSH, 900, burst=2)
        far.send(1, everyone, ACK | PSH, 700)
        near.now = far.now + 50_000
        near.send(1, everyone, ACK | PSH, 700)
        near.send(0, everyone, ACK)
        far.send(0, everyone, ACK)
    return world.finish("proxied")


@pytest.mark.parametrize("ids", ["counter", "zero"])
@pytest.mark.parametrize("stamps", [True, False])
@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_connections_of_a_proxy_are_two(
    ids: str, stamps: bool, transparent: bool, seed: int
) -> None:
    scenario = proxied(ids, stamps, transparent, seed)
    found = join(scenario.batch)
    assert renumbered(found) == wrong(scenario, found) == 0


def test_a_connection_whose_bytes_are_all_alike_is_left() -> None:
    world = World(3)
    tcp = Tcp.open(world, behind_firewall(world), FLOWS, src="10.8.0.1", dst=EXTERNAL)
    everyone = np.arange(FLOWS)
    for _ in range(5):  # what is sent is one page again and again
        for side in (0, 1):
            tcp.initial[side] = (tcp.seq[side] - 1) & 0xFFFFFFFF
        tcp.send(0, everyone, ACK | PSH, 300)
    scenario = world.finish("alike")
    found = join(scenario.batch)
    assert renumbered(found) == wrong(scenario, found) == 0


@pytest.mark.parametrize("translated", [False, True])
def test_two_segments_one_way_are_not_enough(translated: bool) -> None:
    world = World(4)
    nat = world.nat(snat="203.0.113.9", ports="random") if translated else None
    tcp = Tcp.open(world, behind_firewall(world, nat), FLOWS, src="10.8.0.1", dst=EXTERNAL)
    tcp.send(0, np.arange(FLOWS), ACK | PSH, 300, burst=2)
    scenario = world.finish("two")
    assert renumbered(join(scenario.batch)) == 0
    tcp.send(0, np.arange(FLOWS), ACK | PSH, 300)
    assert renumbered(join(world.finish("three").batch)) > 0


@pytest.mark.parametrize("page", ["one", "each"])
def test_without_ids_and_stamps_nothing_is_joined(page: str) -> None:
    world = World(5)
    chain = behind_firewall(world, world.nat(snat="203.0.113.9", ports="random"))
    tcp = Tcp.open(
        world, chain, FLOWS, src="10.8.0.1", dst=EXTERNAL, hosts=FLOWS, ids=("zero", "zero"),
        stamps=False, gap_ns=100_000,
    )  # fmt: skip
    if page == "one":
        tcp.streams[0][:], tcp.streams[1][:] = 5, 6
    tcp.talk(5)
    scenario = world.finish("bare")
    found = join(scenario.batch)
    assert renumbered(found) == wrong(scenario, found) == 0


@pytest.mark.parametrize("flows", [2, 3, FLOWS])
def test_of_connections_that_are_alike_in_all_none_is_taken(flows: int) -> None:
    # Old hosts with one clock for their stamps send the same bytes in the same millisecond.
    world = World(6)
    chain = behind_firewall(world, world.nat(snat="203.0.113.9", ports="random"))
    tcp = Tcp.open(world, chain, flows, src="10.8.0.1", dst=EXTERNAL, hosts=flows,
                   ids=("zero", "zero"), gap_ns=1)  # fmt: skip
    for side in (0, 1):
        tcp.streams[side][:] = 5 + side
        tcp.base[side][:] = 77_000
    tcp.talk(5)
    scenario = world.finish("twins")
    found = join(scenario.batch)
    assert renumbered(found) == wrong(scenario, found) == 0


@pytest.mark.parametrize("stamps", [True, False])
def test_two_sites_that_serve_the_same_page_share_no_connection(stamps: bool) -> None:
    # Of so many connections some count their IP ids on in step, all along.
    world = World(7)
    for site in (0, 1):
        chain = Chain(
            world.point("eth0", f"client{site}"), Link(), Router(),
            world.point("eth0", f"server{site}"),
        )  # fmt: skip
        tcp = Tcp.open(world, chain, 900, src=f"10.{8 + site}.0.1", dst=f"100.121.{site}.75",
                       hosts=90, gap_ns=50_000, stamps=stamps)  # fmt: skip
        for side in (0, 1):
            tcp.streams[side][:] = 5 + side
            tcp.counters[side][:] %= 9_000
        tcp.talk(4)
    scenario = world.finish("sites")
    found = join(scenario.batch)
    assert renumbered(found) == wrong(scenario, found) == 0


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_what_is_shifted_differently_each_time_is_left(share: float) -> None:
    scenario = make("renumbered", 1, 0.2)
    p = scenario.batch.packets
    away = np.array([point.device == "outside" for point in scenario.batch.points])[p["point"]]
    away |= np.array([point.host == "server" for point in scenario.batch.points])[p["point"]]
    rng = np.random.default_rng(1)
    by = rng.integers(0, 1 << 32, len(scenario.truth.lost_after))
    by *= rng.random(len(by)) < share
    moved = (p["tcp_seq"] + np.where(away, by[scenario.truth.packet], 0)) & 0xFFFFFFFF
    p["tcp_seq"] = moved
    found = join(scenario.batch)
    assert renumbered(found) == wrong(scenario, found) == 0


@pytest.mark.parametrize("name", ["renumbered_syn_proxy", "renumbered_syn_proxy_stamps"])
def test_the_handshakes_of_a_proxy_are_two(name: str) -> None:
    # Even where every field of the one is that of the other: windows, IP ids of 0, numbers.
    scenario = make(name, 2, 0.3)
    p = scenario.batch.packets
    opening = (p["payload_len"] == 0) & ((p["tcp_flags"] & 2 > 0) | (p["ip_id"] == 0))
    p["tcp_window"][opening], p["ip_id"][p["tcp_flags"] & 2 > 0] = 501, 0
    found = join(scenario.batch)
    assert renumbered(found) > 100
    assert wrong(scenario, found) == 0


def test_batches_of_ordinary_scenarios_are_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    from tracer.correlate import join as module

    assembled = module.assembled
    monkeypatch.setattr(module, "assembled", lambda *a: calls.append(1) or assembled(*a))
    for name in ("tcp_gso", "tcp_retransmissions_same_id", "tenants", "tcp_keepalives"):
        module.join(make(name, 3, 0.3).batch)
    assert len(calls) == 4
    module.join(make("renumbered", 3, 0.3).batch)
    assert len(calls) == 6
