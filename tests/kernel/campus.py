"""A network of ten namespaces in which most things that happen to packets happen at once.

    A a0 ─ pa ┐
    B b0 ─ pb ┤ bridge ├ pr ─ i0 R1 o0 ─ i1 R2 e1 ─ f1 R3 s1 ─ s0 S
    C c0 ─ pc ┘                            R2 e2 ─ f2 R3

Inside s1 ─ s0 go tunnels: vx1 ─ vx0 (VXLAN), gn1 ─ gn0 (Geneve), gr1 ─ gr0 (GRE). R1 masquerades
the LAN and sends its own port 8080 to C (a hairpin for A and B). R2 translates sources to one
public address, at random ports, and shares flows out over e1 and e2; answers come back over e2
alone. R3 sends public addresses and ports to the server's. e1 and e2 cut super-packets into
segments, f1 and f2 put some together again.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from routed import run

PUBLIC, PUBLIC6 = "203.0.113.80", "fd09:80::80"
BY_VXLAN, BY_GENEVE, BY_GRE = "203.0.113.86", "203.0.113.87", "203.0.113.88"
BY_VXLAN6 = "fd09:80::86"
HOME = "10.9.2.1"  # R1's outer address
ASKED, SERVED, CLOSED, HAIRPIN, TCP_PORT = 5300, 9999, 5301, 8080, 9997
VNI = 4242
LINKS = (
    ("A", "a0", "lan", "pa"), ("B", "b0", "lan", "pb"), ("C", "c0", "lan", "pc"),
    ("R1", "i0", "lan", "pr"), ("R1", "o0", "R2", "i1"), ("R2", "e1", "R3", "f1"),
    ("R2", "e2", "R3", "f2"), ("R3", "s1", "S", "s0"),
)  # fmt: skip
ADDRESSES = {
    "A": {"a0": ("10.9.1.2/24", "fd09:1::2/64")},
    "B": {"b0": ("10.9.1.3/24", "fd09:1::3/64")},
    "C": {"c0": ("10.9.1.4/24", "fd09:1::4/64")},
    "R1": {"i0": ("10.9.1.1/24", "fd09:1::1/64"), "o0": (f"{HOME}/24", "fd09:2::1/64")},
    "R2": {
        "i1": ("10.9.2.2/24", "fd09:2::2/64"), "e1": ("10.9.3.1/24", "fd09:3::1/64"),
        "e2": ("10.9.4.1/24",), "lo": ("198.51.100.7/32", "fd09:7::7/128"),
    },
    "R3": {
        "f1": ("10.9.3.2/24", "fd09:3::2/64"), "f2": ("10.9.4.2/24",),
        "s1": ("10.9.5.1/24", "fd09:5::1/64"),
    },
    "S": {"s0": ("10.9.5.2/24", "fd09:5::2/64")},
}  # fmt: skip
ROUTES = {
    **dict.fromkeys("ABC", ("default via 10.9.1.1", "default via fd09:1::1")),
    "R1": ("default via 10.9.2.2", "default via fd09:2::2"),
    "R2": (
        "203.0.113.0/24 nexthop via 10.9.3.2 nexthop via 10.9.4.2", "fd09:80::/64 via fd09:3::2",
    ),
    "R3": ("198.51.100.7 via 10.9.4.1", "fd09:7::7 via fd09:3::1"),
    "S": ("default via 10.9.5.1", "default via fd09:5::1"),
}  # fmt: skip
RULES = {
    "R1": """
chain out { type nat hook postrouting priority srcnat;
  oifname o0 masquerade
  oifname i0 ip daddr 10.9.1.4 ip saddr 10.9.1.0/24 masquerade
}
chain in { type nat hook prerouting priority dstnat;
  ip daddr 10.9.2.1 udp dport 8080 dnat ip to 10.9.1.4:80
}""",
    "R2": """
chain out { type nat hook postrouting priority srcnat;
  oifname { e1, e2 } meta nfproto ipv4 snat ip to 198.51.100.7 random,fully-random
  oifname e1 meta nfproto ipv6 snat ip6 to fd09:7::7 random,fully-random
}""",
    "R3": """
chain in { type nat hook prerouting priority dstnat;
  ip daddr 203.0.113.80 udp dport 5300 dnat ip to 10.9.5.2:9999
  ip6 daddr fd09:80::80 udp dport 5300 dnat ip6 to [fd09:5::2]:9999
  ip daddr 203.0.113.80 dnat ip to 10.9.5.2
  ip daddr 203.0.113.86 dnat ip to 10.9.6.2
  ip daddr 203.0.113.87 dnat ip to 10.9.7.2
  ip daddr 203.0.113.88 dnat ip to 10.9.8.2
  ip6 daddr fd09:80::80 dnat ip6 to fd09:5::2
  ip6 daddr fd09:80::86 dnat ip6 to fd09:6::2
}""",
}
SYSCTLS = (
    "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0", "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0", "net.ipv4.icmp_ratelimit=0",
    "net.ipv6.icmp.ratelimit=0", "net.ipv4.fib_multipath_hash_policy=1",
    "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.router_solicitations=0",
    "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0",
)  # fmt: skip


@dataclass(frozen=True)
class Campus:
    """The namespaces: name of each of A, B, C, lan, R1, R2, R3, S."""

    tag: str

    def name(self, short: str) -> str:
        return f"{self.tag}-{short}"


@contextmanager
def campus() -> Iterator[Campus]:
    """Build it without the tunnels that programs carry; remove it at the end of the block."""
    net = Campus(f"campus{os.getpid()}")
    shorts = (*ADDRESSES, "lan")
    try:
        run(" && ".join(f"ip netns add {net.name(short)}" for short in shorts))
        for short in shorts:
            inside = f"ip netns exec {net.name(short)}"
            run(
                f"{inside} sysctl -qw {' '.join(SYSCTLS)} && ip -n {net.name(short)} link set lo up"
            )
        for short, device, other, peer in LINKS:
            veth = f"type veth peer {peer} netns {net.name(other)}"
            run(f"ip -n {net.name(short)} link add {device} {veth}")
        _bridge(net)
        _vxlan(net)
        for short, devices in ADDRESSES.items():
            _configure(net.name(short), devices, ROUTES[short])
        for device, policy in (("e1", "R2"), ("e2", "R2"), ("f1", "R3"), ("f2", "R3")):
            word = "tso off gso off" if policy == "R2" else "gro on"
            run(f"ip netns exec {net.name(policy)} ethtool -K {device} {word}")
        for short, rules in RULES.items():
            table = f"table inet nat {{ {rules}\n}}"
            _feed(f"ip netns exec {net.name(short)} nft -f -", table)
        yield net
    finally:
        for short in shorts:
            subprocess.run(
                ["ip", "netns", "del", net.name(short)], check=False, capture_output=True
            )


def _feed(command: str, text: str) -> None:
    done = subprocess.run(command.split(), input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def _configure(space: str, devices: dict[str, tuple[str, ...]], routes: tuple[str, str]) -> None:
    lines = []
    for device, addresses in devices.items():
        for address in addresses:
            nodad = " nodad" if ":" in address else ""
            lines.append(f"addr add {address} dev {device}{nodad}")
        lines.append(f"link set {device} up")
    four, six = routes
    lines += [f"route add {four}", f"-6 route add {six}"]
    for line in lines:
        family = "-6 " if line.startswith("-6") else ""
        run(f"ip {family}-n {space} {line.removeprefix('-6 ')}")


def _bridge(net: Campus) -> None:
    lan = net.name("lan")
    run(f"ip -n {lan} link add br0 type bridge mcast_snooping 0 && ip -n {lan} link set br0 up")
    for port in ("pa", "pb", "pc", "pr"):
        run(f"ip -n {lan} link set {port} master br0 up")
    for table in ("iptables", "ip6tables"):
        run(f"ip netns exec {lan} sysctl -qw net.bridge.bridge-nf-call-{table}=0")


def _vxlan(net: Campus) -> None:
    ends = (("R3", "vx1", "s1", 1, 2), ("S", "vx0", "s0", 2, 1))
    for short, device, lower, own, peer in ends:
        space = net.name(short)
        run(f"ip -n {space} link add {device} type vxlan id {VNI} local 10.9.5.{own} "
            f"remote 10.9.5.{peer} dstport 4789 dev {lower}")  # fmt: skip
        tunnel_end(space, device, 6, own, 1450)
        run(f"ip -n {space} addr add fd09:6::{own}/64 dev {device} nodad")
    run(f"ip -n {net.name('S')} -6 rule add from fd09:6::2 lookup 106")
    run(f"ip -n {net.name('S')} -6 route add default via fd09:6::1 dev vx0 table 106")


def tunnel_end(space: str, device: str, number: int, own: int, mtu: int) -> None:
    """Give a tunnel's device its address; what has the server's leaves by it again."""
    run(f"ip -n {space} link set {device} mtu {mtu} up")
    run(f"ip -n {space} addr add 10.9.{number}.{own}/24 dev {device}")
    if own == 2:
        run(f"ip -n {space} rule add from 10.9.{number}.2 lookup 10{number}")
        run(f"ip -n {space} route add default via 10.9.{number}.1 dev {device} table 10{number}")
