"""A small NAT topology for the engine's tests, made of nothing but ip and iptables.

client 10.7.1.2 ─c0────r0─ 10.7.1.1 router 10.7.2.1 ─r1────s0─ 10.7.2.2 server
                              SNAT to 10.7.2.1 --random-fully
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def run(command: str) -> str:
    """Run a command that has to succeed; return what it printed."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Routed:
    """The names of the three namespaces."""

    client: str
    router: str
    server: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset((self.client, self.router, self.server))

    def inum(self, name: str) -> int:
        return Path("/run/netns", name).stat().st_ino

    def ping(self, target: str = "10.7.2.2", options: str = "-c1") -> str:
        return run(f"ip netns exec {self.client} ping -i0.01 -W1 {options} {target}")

    def ping_in_vain(self, options: str) -> None:
        """Send one request that nobody answers."""
        command = f"ip netns exec {self.client} ping -c1 -W0.2 {options} 10.7.2.2"
        assert subprocess.run(command.split(), check=False, capture_output=True).returncode == 1


@contextmanager
def routed(prefix: str = "eng") -> Iterator[Routed]:
    """Build the topology; remove it at the end of the block."""
    tag = f"{prefix}{os.getpid()}"
    net = Routed(f"{tag}-client", f"{tag}-router", f"{tag}-server")
    names = (net.client, net.router, net.server)
    try:
        for name in names:
            run(f"ip netns add {name} && ip -n {name} link set lo up")
        _link(net.client, "c0", net.router, "r0", 1)
        _link(net.server, "s0", net.router, "r1", 2)
        run(f"ip netns exec {net.router} sysctl -qw net.ipv4.ip_forward=1")
        run(f"ip netns exec {net.router} sysctl -qw net.ipv6.conf.all.forwarding=1")
        rule = "-t nat -A POSTROUTING -o r1 -j SNAT --to-source 10.7.2.1 --random-fully"
        run(f"ip netns exec {net.router} iptables {rule}")
        yield net
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _link(host: str, device: str, router: str, port: str, number: int) -> None:
    run(f"ip -n {host} link add {device} type veth peer name {port} netns {router}")
    for name, dev, last in ((host, device, 2), (router, port, 1)):
        run(f"ip -n {name} addr add 10.7.{number}.{last}/24 dev {dev}")
        run(f"ip -n {name} addr add fd07:{number}::{last}/64 dev {dev} nodad")
        run(f"ip -n {name} link set {dev} up")
    run(f"ip -n {host} route add default via 10.7.{number}.1")
    run(f"ip -n {host} -6 route add default via fd07:{number}::1")
