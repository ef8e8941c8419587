"""Networks that scenarios run on."""

from scenarios.elements import Chain, Element, Link, Router, Tag, Tap
from scenarios.nat import Nat
from scenarios.world import World

FIXED, FIP, EXTERNAL = "192.168.3.69", "100.122.0.145", "100.121.0.75"
QROUTER, FIPNS = "qrouter-b6a86b9f", "fip-e7cb8424"
WIRE_NS = 150_000


def dvr(
    world: World, nat: Nat | None = None, wire: Link | None = None, inbound: bool = False
) -> Chain:
    """Return the path of a VM with a floating IP: eight points on two hosts."""
    return Chain(
        world.point("tap0", "compute03"),
        Link(),
        world.point("qr-1f6b0aa3", "compute03", QROUTER),
        Router(nat, inbound),
        world.point("rfp-b6a86b9f", "compute03", QROUTER),
        Link(2_000, 500),
        world.point("fpr-b6a86b9f", "compute03", FIPNS),
        Router(),
        world.point("fg-2417e6fb", "compute03", FIPNS),
        Tag(20),
        Link(),
        world.point("enp175s0f1", "compute03"),
        wire or Link(WIRE_NS, 20_000),
        Tag(20, end=True),
        Router(),
        world.point("core1", "gateway"),
        Link(WIRE_NS // 3, 10_000),
        world.point("eth0", "server"),
    )


def snat(world: World, ports: str = "random", **options: object) -> Nat:
    """Return the translation a floating IP makes."""
    return world.nat(snat=FIP, ports=ports, host="compute03", netns=QROUTER, **options)


def line(
    world: World, count: int, nat_at: dict[int, Nat] | None = None, per_host: int = 4
) -> Chain:
    """Return `count` devices in a row, a router between every second pair, NAT where told."""
    elements: list[Element] = []
    for i in range(count):
        host = f"host{i // per_host}"
        elements.append(world.point(f"dev{i}", host, f"ns{(i + 1) // 2}"))
        if i == count - 1:
            break
        if i % 2:
            elements.append(Link(3_000, 500))
        else:
            elements.append(Router((nat_at or {}).get(i)))
        if (i + 1) % per_host == 0:
            elements.append(Link(60_000, 8_000))
    return Chain(*elements)


def laptops(world: World, nat: Nat, wire_ns: int = 400_000) -> Chain:
    """Return two captures either side of a NAT box, nothing between."""
    return Chain(
        world.point("en0", "laptop-a"),
        Link(wire_ns, 60_000),
        Router(nat),
        Link(wire_ns, 60_000),
        world.point("en1", "laptop-b"),
    )


def ends(chain: Chain) -> list[Tap]:
    """Return the taps of a chain, from left to right."""
    return [element for element in chain.elements if isinstance(element, Tap)]
