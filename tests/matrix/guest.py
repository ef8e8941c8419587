"""What runs in a guest: both engines over known traffic; events and oracles go into a folder.

Only the engines and numpy are imported: compiling with numba would take minutes under emulation.
"""

import json
import re
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.matrix import net, upper
from tests.matrix.net import DEVICES, inside, run
from tracer.core.errors import TracerError
from tracer.core.filter import FlowFilter
from tracer.sources.live import btf
from tracer.sources.live.clock import sample
from tracer.sources.live.drop_reasons import drop_reason_name
from tracer.sources.live.engine import Config, Engine, open_engine
from tracer.sources.live.event_layout import EVENT_DTYPE
from tracer.sources.live.namespaces import all_namespaces
from tracer.sources.live.source import bpf_folder
from tracer.sources.live.syscalls import network_namespace

SERVER = "10.7.2.2"
SERVICE, SECOND = "10.8.96.1", "10.8.97.5"  # what a host's own NAT translates
FLOW = FlowFilter(host=("10.7.1.2", "10.7.2.100", "10.8.0.0/16"))
started = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - started:6.1f}] {text}", flush=True)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def start(name: str, facts: dict[str, Any]) -> Engine:
    """Return an engine, attached; how long that took and what was attached goes into `facts`."""
    before = time.monotonic()
    engine = open_engine(name, Config(FLOW))
    attached = engine.attach()
    facts[name] = {
        "ready_s": time.monotonic() - before,
        "nat": attached.nat,
        "points": attached.points,
        "missing": attached.missing,
    }
    say(f"{name} is ready: {facts[name]}")
    return engine


@contextmanager
def sniffing(folder: Path) -> Iterator[None]:
    """tcpdump at every device while the block runs."""
    running = []
    for namespace, device in (*DEVICES, *upper.DEVICES):
        out = (folder / f"tcpdump-{device}.txt").open("w")
        command = f"exec {inside(namespace)}tcpdump -i {device} -e -n -v -tt -l --immediate-mode"
        running.append(subprocess.Popen(command, shell=True, stdout=out, stderr=out))
    try:
        for _, device in (*DEVICES, *upper.DEVICES):
            text = folder / f"tcpdump-{device}.txt"
            wait_for(lambda text=text: "listening on" in text.read_text(), f"tcpdump on {device}")
        yield
    finally:
        for process in running:
            process.terminate()
            process.wait()


def ping(namespace: str, target: str, options: str) -> None:
    run(f"{inside(namespace)}ping -i0.2 -W5 {options} {target}")


def transport(sender_space: str, target: str, source: str, port: int) -> list[int]:
    """Send three datagrams and one byte each way over TCP, from a namespace to the server.

    Returns the sender's ports, of UDP and of TCP.
    """
    with network_namespace("/run/netns/ext"):
        udp = socket.socket(type=socket.SOCK_DGRAM)
        udp.bind((SERVER, port + 1))
        tcp = socket.create_server((SERVER, port))
    with network_namespace(f"/run/netns/{sender_space}"):
        sender = socket.socket(type=socket.SOCK_DGRAM)
        caller = socket.socket()
    for each in (sender, caller):
        each.bind((source, 0))
    for number in range(3):
        sender.sendto(b"x" * (number + 1), (target, port + 1))
        udp.recv(10)
    caller.connect((target, port))
    answering, _ = tcp.accept()
    caller.sendall(b"a")
    answering.sendall(answering.recv(1))
    caller.recv(1)
    numbers = [each.getsockname()[1] for each in (sender, caller)]
    for each in (caller, answering, tcp, udp, sender):
        each.close()
    return numbers


def own(facts: dict[str, Any]) -> None:
    """Send what a host's own NAT translates, and a ping that ends at the router behind its DNAT."""
    ping("own", SERVICE, "-c1 -e 22350")
    ping("own", SERVER, f"-c1 -e 22351 -I {SECOND}")
    facts["own_ports"] = {
        SERVICE: transport("own", SERVICE, "", 7003),
        SECOND: transport("own", SERVER, SECOND, 7005),
    }
    subprocess.run(
        f"{inside('ext')}ping -c1 -W1 -t1 -e 22352 10.7.2.100",
        shell=True,
        stdout=subprocess.DEVNULL,
    )


def dropped() -> None:
    """Send one ping that a rule in the router drops."""
    rule = f"{inside('router')}iptables {{}} FORWARD -p icmp -s 10.7.1.2 -d {SERVER} -j DROP"
    run(rule.format("-I"))
    subprocess.run(
        f"{inside('vm')}ping -c1 -W1 -e 22347 {SERVER}", shell=True, stdout=subprocess.DEVNULL
    )
    run(rule.format("-D"))


def traffic(folder: Path, facts: dict[str, Any]) -> None:
    """Send what the host-side tests know of."""
    ping("router", SERVER, "-c2 -e 11")  # noise: not the VM's
    run("ovs-appctl dpctl/del-flows")  # the first packet each way takes an upcall
    ping("vm", SERVER, "-c5 -e 22344")
    ping("ext", "10.7.2.100", "-c3 -e 22345")
    # Both forget what is silent for seconds.
    (folder / "flows.txt").write_text(run("ovs-appctl dpctl/dump-flows -m"))
    (folder / "conntrack.txt").write_text(run(f"{inside('router')}conntrack -L 2>/dev/null"))
    transport("vm", SERVER, "", 7001)
    own(facts)
    dropped()
    ping("router", SERVER, "-c2 -e 12")


def drain(engine: Engine) -> Any:
    """Return all events as bytes, once none came for a second.

    numpy gives fields that share their place one each when it puts arrays together or saves them.
    """
    found = [engine.drain(1.0)]
    while len(found[-1]):
        found.append(engine.drain(1.0))
    return np.concatenate([events.view(np.uint8) for events in found])


def names() -> dict[str, Any]:
    present = all_namespaces().values()
    return {
        "namespaces": {n.inum: None if n.is_host else n.name for n in present},
    }


def save(folder: Path, engines: dict[str, Engine], facts: dict[str, Any]) -> None:
    reasons: dict[int, str] = {}
    for name, engine in engines.items():
        raw = drain(engine)
        np.save(folder / f"{name}.npy", raw)
        events = raw.view(EVENT_DTYPE)
        stats = engine.stats()
        facts[name]["stats"] = {
            key: getattr(stats, key) for key in ("sent", "ring_full", "map_full")
        }
        reasons |= {int(r): drop_reason_name(int(r)) for r in set(events["drop_reason"])}
        say(f"{name}: {len(events)} events, {stats}")
    facts["names"], facts["reasons"] = names(), reasons
    facts["offset_ns"] = sample()[1]


def without_types(facts: dict[str, Any]) -> None:
    """Try both engines as on a kernel that has no BTF: what they say, or what they saw."""
    fields = (bpf_folder() / "kernel.h").read_text()
    known = layouts(fields)
    run("mount -t tmpfs none /sys/kernel/btf")
    for cached in (btf.kernel, btf.has_text, btf.known):
        cached.cache_clear()
    said = facts["without_types"] = {}
    for name in ("core", "bcc"):
        try:
            with open_engine(name, Config(FLOW)) as engine:
                attached = engine.attach()
                ping("vm", SERVER, "-c1 -e 22348")
                events = drain(engine).view(EVENT_DTYPE)
            said[name] = {"nat": attached.nat, "hooks": [int(hook) for hook in events["hook"]]}
        except TracerError as error:
            said[name] = {"message": error.message, "hint": error.hint}
        say(f"{name} without BTF: {said[name]}")
    if "hooks" in said["bcc"]:
        made = layouts(fields)
        facts["layouts"] = {name: (known[name], made[name]) for name in known}


def layouts(fields: str) -> dict[str, Any]:
    """Return where each field of bpf/kernel.h is, by the types that are known now."""
    found = {}
    for name, struct, path in re.findall(r"FIELD_(\w+) struct (\w+), ([\w.]+)$", fields, re.M):
        try:
            member = btf.kernel().member(struct, path)
        except KeyError:
            found[name] = None
        else:
            found[name] = (member.offset, member.size, member.bit, member.bits)
    return found


def main(folder: Path) -> None:
    facts: dict[str, Any] = {"kernel": Path("/proc/sys/kernel/osrelease").read_text().strip()}
    try:
        say("guest is up")
        # Before the modules that it wants to look into are there.
        engines = {"core": start("core", facts)}
        net.build()
        upper.build()
        say("the network is built")
        wait_for(lambda: ready(engines["core"]), "late modules")
        facts["late"] = {
            "nat": engines["core"].attached.nat,
            "points": engines["core"].attached.points,
        }
        engines["bcc"] = start("bcc", facts)
        with sniffing(folder):
            say("tcpdump listens")
            upper.traffic()
            traffic(folder, facts)
            save(folder, engines, facts)
        for engine in engines.values():
            engine.close()
        without_types(facts)
    except BaseException:
        facts["failed"] = traceback.format_exc()
    (folder / "facts.json").write_text(json.dumps(facts, default=str))
    say(f"done: {facts.get('failed', 'well')}")


def ready(engine: Engine) -> bool:
    """Drain (joins what appeared) and say whether every hook has found its place."""
    engine.drain(0.2)
    return not engine.attached.missing


if __name__ == "__main__":
    main(Path(sys.argv[1]))
