"""The network inside a guest: NAT, two OVS bridges as Neutron joins them, and VLAN 20.

vm 10.7.1.2 ─v0────r0─ router 10.7.2.1 ─r1────tap─ br-int ═patch═ br-ex ─wan───p0─ ext
                       SNAT to 10.7.2.1            tag 1          VLAN 20      p0.20 10.7.2.2
                       DNAT of 10.7.2.100 to the VM

own 10.7.3.2 ─o0────r2─ router: by rules of its own, what own sends to 10.8.96.1 goes to ext (DNAT),
and what it sends from 10.8.97.5 leaves by 10.7.3.2 (MASQUERADE).

vm, router, own and ext are namespaces; tap, wan and the bridges are the guest's own.
"""

import subprocess
from pathlib import Path

NAMESPACES = ("vm", "router", "ext", "own")
#: Where tcpdump listens: (namespace or None, device).
DEVICES = (
    ("vm", "v0"),
    ("router", "r0"),
    ("router", "r1"),
    (None, "tap"),
    (None, "wan"),
    ("ext", "p0"),
    ("ext", "p0.20"),
)
_OVS = Path("/run/openvswitch")


def run(command: str) -> str:
    """Run a command that has to succeed; return what it printed."""
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def inside(namespace: str | None) -> str:
    """Return what goes before a command to run it in a namespace."""
    return f"ip netns exec {namespace} " if namespace else ""


def build() -> None:
    """Build everything; loads the modules that it needs."""
    run("modprobe -a openvswitch 8021q nf_nat veth")
    for name in NAMESPACES:
        run(f"ip netns add {name} && ip -n {name} link set lo up")
    _cable("vm", "v0", "router", "r0")
    _cable("own", "o0", "router", "r2")
    _cable("router", "r1", None, "tap")
    _cable("ext", "p0", None, "wan")
    run("ip -n ext link add link p0 name p0.20 type vlan id 20 && ip -n ext link set p0.20 up")
    for name, device, address in (
        ("vm", "v0", "10.7.1.2/24"),
        ("router", "r0", "10.7.1.1/24"),
        ("own", "o0", "10.7.3.2/24"),
        ("own", "lo", "10.8.97.5/32"),
        ("router", "r2", "10.7.3.1/24"),
        ("router", "r1", "10.7.2.1/24"),
        ("router", "r1", "10.7.2.100/32"),
        ("ext", "p0.20", "10.7.2.2/24"),
    ):
        run(f"ip -n {name} addr add {address} dev {device}")
    run("ip -n vm route add default via 10.7.1.1")
    run("ip -n own route add default via 10.7.3.1")
    run(f"{inside('router')}sysctl -qw net.ipv4.ip_forward=1")
    nat = f"{inside('router')}iptables -t nat -A"
    run(f"{nat} POSTROUTING -o r1 -j SNAT --to-source 10.7.2.1 --random-fully")
    run(f"{nat} PREROUTING -d 10.7.2.100 -j DNAT --to-destination 10.7.1.2")
    nat = f"{inside('own')}iptables -t nat -A"
    run(f"{nat} OUTPUT -d 10.8.96.1 -j DNAT --to-destination 10.7.2.2")
    run(f"{nat} POSTROUTING -s 10.8.97.5 -o o0 -j MASQUERADE")
    _bridges()


def _cable(host: str, device: str, other: str | None, port: str) -> None:
    peer = f"netns {other}" if other else "netns 1"
    run(f"ip -n {host} link add {device} type veth peer name {port} {peer}")
    run(f"ip -n {host} link set dev {device} up")
    run(f"ip {f'-n {other}' if other else ''} link set dev {port} up")


def _bridges() -> None:
    # Neutron's flows on a provider network (ovs agent, provision_local_vlan): the local tag becomes
    # the segment's VLAN on the way out, and the other way round.
    _OVS.mkdir(exist_ok=True)
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    run(f"ovsdb-tool create {_OVS}/conf.db {schema}")
    options = f"--detach --no-chdir --log-file=/dev/null --pidfile={_OVS}"
    run(f"ovsdb-server {options}/db.pid --remote=punix:{_OVS}/db.sock {_OVS}/conf.db")
    run("ovs-vsctl --no-wait init")
    run(f"ovs-vswitchd {options}/ovs-vswitchd.pid unix:{_OVS}/db.sock")
    run(
        "ovs-vsctl add-br br-int -- add-br br-ex"
        " -- add-port br-int tap tag=1 -- add-port br-ex wan"
        " -- add-port br-int int-br-ex"
        " -- set interface int-br-ex type=patch options:peer=phy-br-ex"
        " -- add-port br-ex phy-br-ex"
        " -- set interface phy-br-ex type=patch options:peer=int-br-ex"
    )
    run(
        "ovs-ofctl add-flow br-ex"
        " 'priority=4,in_port=phy-br-ex,dl_vlan=1,actions=mod_vlan_vid:20,normal'"
    )
    run(
        "ovs-ofctl add-flow br-int"
        " 'priority=3,in_port=int-br-ex,dl_vlan=20,actions=mod_vlan_vid:1,normal'"
    )
