"""Two nodes of a cluster with pods on bridges, services and an overlay, made of ip and iptables.

pod1 ─eth0──veth1─ cni0 node1 eth0 ──── eth0 node2 cni0 ─veth3──eth0─ pod3
pod2 ─eth0──veth2─┘        flannel.1 ── VXLAN ── flannel.1

A service is a port of SERVICE: 5301 is pod1's, 5302 pod2's, 5303 pod3's. Pods are masqueraded where
they leave the cluster, or where a service is on their own node.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.kernel.routed import run

SERVICE, SERVED = "10.96.0.10", 9999
PODS = {"pod1": "10.8.1.11", "pod2": "10.8.1.12", "pod3": "10.8.2.11"}
PORTS = {"pod1": 5301, "pod2": 5302, "pod3": 5303}
NODES = {"node1": "10.9.0.1", "node2": "10.9.0.2"}
DEVICES = {
    "pod1": ("eth0",), "pod2": ("eth0",), "pod3": ("eth0",),
    "node1": ("veth1", "veth2", "cni0", "flannel.1", "eth0"),
    "node2": ("eth0", "flannel.1", "cni0", "veth3"),
}  # fmt: skip


@dataclass(frozen=True)
class Cluster:
    """The namespaces, named after this process."""

    tag: str

    def space(self, name: str) -> str:
        """The namespace of a pod or node."""
        return f"{self.tag}-{name}"

    def run(self, name: str, command: str) -> str:
        """Run a command there."""
        return run(f"ip netns exec {self.space(name)} {command}")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Build the cluster; remove it at the end of the block."""
    net = Cluster(f"cl{os.getpid()}")
    try:
        for name in DEVICES:
            run(f"ip netns add {net.space(name)} && ip -n {net.space(name)} link set lo up")
            net.run(name, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        _wires(net)
        for number, name in enumerate(NODES, 1):
            _overlay(net, name, number)
            _services(net, name)
        yield net
    finally:
        for name in DEVICES:
            subprocess.run(["ip", "netns", "del", net.space(name)], check=False)


def _wires(net: Cluster) -> None:
    one, other = net.space("node1"), net.space("node2")
    run(f"ip -n {one} link add eth0 type veth peer name eth0 netns {other}")
    for number, (name, address) in enumerate(NODES.items(), 1):
        net.run(name, "sysctl -qw net.ipv4.ip_forward=1")
        net.run(name, f"ip addr add {address}/24 dev eth0")
        net.run(name, "ip link set eth0 up")
        net.run(name, "ip link add cni0 type bridge")
        net.run(name, f"ip addr add 10.8.{number}.1/24 dev cni0")
        net.run(name, "ip link set cni0 up")
    for name, address in PODS.items():
        node, port = f"node{address.split('.')[2]}", f"veth{name[-1]}"
        pod = net.space(name)
        run(
            f"ip -n {pod} link add eth0 mtu 1450 type veth peer name {port} netns {net.space(node)}"
        )
        net.run(name, f"ip addr add {address}/24 dev eth0")
        net.run(name, "ip link set eth0 up")
        net.run(name, f"ip route add default via {address.rsplit('.', 1)[0]}.1")
        net.run(node, f"ip link set {port} master cni0 up")
        net.run(node, f"bridge link set dev {port} hairpin on")


def _overlay(net: Cluster, name: str, number: int) -> None:
    other = 3 - number
    options = f"id 1 local 10.9.0.{number} dstport 8472 nolearning"
    for node, last in ((name, number), (f"node{other}", other)):
        mac = f"02:00:00:00:08:0{last}"
        if node == name:
            net.run(name, f"ip link add flannel.1 address {mac} type vxlan {options}")
            net.run(name, f"ip addr add 10.8.{last}.0/32 dev flannel.1")
            net.run(name, "ip link set flannel.1 up")
        else:
            net.run(name, f"ip neigh add 10.8.{last}.0 lladdr {mac} dev flannel.1")
            net.run(name, f"bridge fdb add {mac} dev flannel.1 dst 10.9.0.{last}")
            net.run(name, f"ip route add 10.8.{last}.0/24 via 10.8.{last}.0 dev flannel.1 onlink")


def _services(net: Cluster, name: str) -> None:
    for pod, port in PORTS.items():
        for proto in ("udp", "tcp"):
            wanted = f"-d {SERVICE} -p {proto} --dport {port}"
            to = f"-j DNAT --to-destination {PODS[pod]}:{SERVED}"
            net.run(name, f"iptables -t nat -A PREROUTING {wanted} {to}")
    own = f"10.8.{name[-1]}.0/24"
    for wanted in (
        f"-s {own} -d {own} -m conntrack --ctstate DNAT",
        "-s 10.8.0.0/16 ! -d 10.8.0.0/16",
    ):
        net.run(name, f"iptables -t nat -A POSTROUTING {wanted} -j MASQUERADE --random-fully")
