"""What `conntrack` says of real traffic, against what the sockets and the NAT rules were."""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.sources.conntrack import read_conntrack

NETNS = "tracer-test-ct"
DUMPS = ["", "-o extended", "-o id", "-o timestamp", "-o extended,id,timestamp", "-o ktimestamp"]

# one namespace; connections to 10.9.0.99:80 are sent to 10.9.0.1:8080, pings' source rewritten
#
#   client 10.9.0.1 ── nat OUTPUT: DNAT ── lo ── server 10.9.0.1:8080
#
RULES = (
    "iptables -t nat -A OUTPUT -p tcp -d 10.9.0.99 --dport 80 -j DNAT --to 10.9.0.1:8080",
    "iptables -t nat -A POSTROUTING -p icmp -d 10.9.0.2 -j SNAT --to 10.9.0.3 --random-fully",
    "ip6tables -A OUTPUT -m conntrack --ctstate NEW -j ACCEPT",
)


def run(command: str) -> str:
    words = ["ip", "netns", "exec", NETNS, *command.split()]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@contextmanager
def inside() -> Iterator[None]:
    """This thread in the namespace, and back; threads have namespaces of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{NETNS}") as there:
        if libc.setns(there.fileno(), 0):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            if libc.setns(home.fileno(), 0):
                os.abort()


@pytest.fixture(scope="module")
def namespace(require_kernel: Callable[[bool, str], None]) -> Iterator[None]:
    tools = ("conntrack", "iptables", "ping", "ip")
    require_kernel(all(map(shutil.which, tools)), "conntrack, iptables and ping are needed")
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    try:
        run("ip link set lo up")
        for address in ("10.9.0.1/24", "10.9.0.2/24", "10.9.0.3/24", "fd00::1/64"):
            run(f"ip addr add {address} dev lo")
        for rule in RULES:
            run(rule)
        yield
    finally:
        subprocess.run(["ip", "netns", "del", NETNS], check=True)


@pytest.fixture(scope="module")
def ports(namespace: None) -> Iterator[dict[str, int]]:
    """Real sockets, open while the tests look at their entries; their ports by name."""
    found: dict[str, int] = {}
    events = subprocess.Popen(
        ["ip", "netns", "exec", NETNS, "conntrack", "-E", "-o", "timestamp,id,extended"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    seen: list[str] = []
    enough = threading.Event()

    def gather() -> None:
        assert events.stdout is not None
        for line in events.stdout:
            seen.append(line)
            if "ESTABLISHED" in line:
                enough.set()

    reader = threading.Thread(target=gather)
    reader.start()
    try:
        # The listener is there once it reports a ping; until then ping on.
        while not seen:
            run("ping -c 1 -i 0.2 10.9.0.2")
        run("ping -6 -c 1 fd00::1")
        with inside():
            server = socket.create_server(("10.9.0.1", 8080))
            client = socket.create_connection(("10.9.0.99", 80))
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagram.sendto(b"x", ("10.9.0.1", 53))
        found["tcp"], found["udp"] = client.getsockname()[1], datagram.getsockname()[1]
        assert enough.wait(10)
        found["events"] = len(seen)
        LOG["events"] = "".join(seen)
        yield found
        for each in (client, datagram, server):
            each.close()
    finally:
        events.terminate()
        events.wait()
        reader.join()
        if events.stdout is not None:
            events.stdout.close()


LOG: dict[str, str] = {}


def of(entries: list[ConntrackEntry], proto: int) -> list[ConntrackEntry]:
    return [entry for entry in entries if entry.original.proto == proto]


@pytest.mark.kernel
@pytest.mark.parametrize("options", DUMPS)
def test_every_form_of_a_dump_has_the_kernels_entries(
    options: str, ports: dict[str, int], tmp_path: Path
) -> None:
    path = tmp_path / f"conntrack-{NETNS}.txt"
    path.write_text(run(f"conntrack -L {options}"))
    entries, warnings = read_conntrack(path)
    assert warnings == []
    assert {entry.netns for entry in entries} == {NETNS}
    count = int(run("sysctl -n net.netfilter.nf_conntrack_count"))
    assert len(entries) == count
    (tcp,) = of(entries, 6)
    assert tcp.original == Tuple("10.9.0.1", "10.9.0.99", 6, ports["tcp"], 80)
    assert tcp.reply == Tuple("10.9.0.1", "10.9.0.1", 6, 8080, ports["tcp"])
    assert (tcp.state, tcp.status) == ("ESTABLISHED", ("ASSURED",))
    (udp,) = of(entries, 17)
    assert udp.original == Tuple("10.9.0.1", "10.9.0.1", 17, ports["udp"], 53)
    assert udp.status == ("UNREPLIED",)
    assert of(entries, 58)[0].original.icmp_type == 128
    ping = of(entries, 1)[0]
    assert ping.reply.dst == "10.9.0.3" != ping.original.src
    assert ping.original.icmp_id is not None
    assert (tcp.ct_id is not None) == ("id" in options)


@pytest.mark.kernel
def test_proc_and_xml_say_the_same(ports: dict[str, int]) -> None:
    plain, _ = read_conntrack(run("conntrack -L -o id").encode())
    proc, warnings = read_conntrack(run("cat /proc/net/nf_conntrack").encode())
    assert warnings == []
    tuples = {(entry.original, entry.reply) for entry in plain}
    assert {(entry.original, entry.reply) for entry in proc} == tuples
    xml, warnings = read_conntrack(run("conntrack -L -o xml").encode())
    assert {warning.kind for warning in warnings} == {"icmp-id-absent"}
    assert of(xml, 6)[0].original == of(plain, 6)[0].original
    assert {entry.ct_id for entry in xml} == {entry.ct_id for entry in plain}


@pytest.mark.kernel
def test_event_log(ports: dict[str, int]) -> None:
    entries, warnings = read_conntrack(LOG["events"].encode())
    assert warnings == []
    tcp = of(entries, 6)
    assert [entry.event for entry in tcp[:3]] == ["NEW", "UPDATE", "UPDATE"]
    assert [entry.state for entry in tcp[:3]] == ["SYN_SENT", "SYN_RECV", "ESTABLISHED"]
    assert {entry.original.sport for entry in tcp} == {ports["tcp"]}
    assert len({entry.ct_id for entry in tcp}) == 1
    times = [entry.time_ns or 0 for entry in entries]
    assert times == sorted(times)
    assert times[0] > 1_600_000_000_000_000_000
