"""Conntrack as the only witness: equal bytes, hosts in step; dumps, and logs with times."""

from collections.abc import Callable
from typing import Any

from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.frames import join
from scenarios.nat import Nat
from scenarios.places import EXTERNAL, line
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, answer, datagrams, exchange, once
from scenarios.world import World

HOSTS, PORT, FIRST_PORT = 4, 5060, 40_000
TIMEOUT_NS = 30 * SECOND


def _heartbeats(world: World, count: int, start_ns: int) -> Any:
    # Hosts in step: equal bytes, no IP ids.
    return join([
        datagrams(world, f"10.1.1.{host}", EXTERNAL, count, sport=PORT, dport=PORT, size=24,
                  gap_ns=20 * MILLI, start_ns=start_ns, constant=True, ids="zero")
        for host in range(1, HOSTS + 1)
    ])  # fmt: skip


def udp_equal_conntrack(seed: int, scale: float) -> Scenario:
    """Equal heartbeats of hosts in step through one NAT: a dump alone tells them apart."""
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports="random")})
    arrived = once(world.run(chain, _heartbeats(world, max(int(60 * scale), 6), 0)))
    world.run(chain, answer(world, arrived, ids="zero"), 1)
    return world.finish("udp_equal_conntrack", conntrack=True)


def _reused(
    seed: int, scale: float, nat: dict[str, str], gap_ns: int = 60 * SECOND, from_ns: int = 0,
    **clocks: Clock,
) -> Scenario:  # fmt: skip
    world = World(seed)
    world.clocks.update(clocks)
    epoch = 0

    def port(packet: Any) -> int:
        if packet["sport"] != PORT:
            return int(packet["sport"])
        return FIRST_PORT + (int(packet["src_lo"]) + epoch) % HOSTS

    box: Nat = world.nat(snat="203.0.113.7", ports=port, **nat)
    chain = line(world, 8, {0: box})
    for epoch in range(3):  # what `port` reads
        sent = _heartbeats(world, max(int(40 * scale), 6), epoch * gap_ns)
        arrived = once(world.run(chain, sent))
        world.run(chain, answer(world, arrived, ids="zero"), 1)
        # What clocks can be told by: bytes of its own.
        asked = datagrams(world, "10.1.2.9", EXTERNAL, 10, dport=53, flows=10, gap_ns=80 * MILLI,
                          start_ns=epoch * gap_ns)  # fmt: skip
        exchange(world, chain, asked)
    return world.finish("conntrack_reuse", log={"timeout_ns": TIMEOUT_NS, "from_ns": from_ns})


def _maker(doc: str, nat: dict[str, str], **options: Any) -> Callable[[int, float], Scenario]:
    def maker(seed: int, scale: float) -> Scenario:
        return _reused(seed, scale, nat, **options)

    maker.__doc__ = doc
    return maker


SCENARIOS = {
    "udp_equal_conntrack": udp_equal_conntrack,
    "conntrack_reuse": _maker(
        "Each port of the NAT is another host's after a minute; an event log says when.",
        {"host": "host0"},
    ),
    "conntrack_reuse_clock": _maker(
        "The same where the clock of the NAT's host, which stamps the log, is 25 s ahead.",
        {"host": "host0"},
        host0=Clock(25 * SECOND, 60.0),
        host1=Clock(-4 * SECOND, -30.0),
    ),
    "conntrack_reuse_unknown": _maker(
        "The same where nobody says whose log it is, and the clocks are 5 s apart.",
        {"clock": "host1"},
        host1=Clock(5 * SECOND),
    ),
    "conntrack_reuse_late": _maker(
        "The same with a log that began after the first entries were made.",
        {"host": "host0"},
        from_ns=EPOCH + 5 * SECOND,
    ),
}
