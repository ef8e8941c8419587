#!/usr/bin/env python3
"""Measure what live tracing costs here: ns a call, events drained a second, start to ready.

    sudo scripts/bench_live.py [--engine core|bcc] [--json]

The ns come from the kernel's own run-time statistics of BPF programs; an empty program, attached to
the same tracepoint in the same run, shows what those statistics themselves cost. The traffic is UDP
of 64 bytes over a veth pair between two namespaces.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tracer.core.filter import FlowFilter  # noqa: E402
from tracer.sources.live import btf, syscalls  # noqa: E402
from tracer.sources.live.engine import Config, create_engine  # noqa: E402

_EMPTY = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
_PACKETS = 100_000
_PORT = 7999


def run(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


@contextmanager
def veth() -> Iterator[tuple[str, str]]:
    left, right = f"bench{os.getpid()}a", f"bench{os.getpid()}b"
    try:
        for name in (left, right):
            run(f"ip netns add {name}")
        run(f"ip -n {left} link add v0 type veth peer name v1 netns {right}")
        for name, device, last in ((left, "v0", 1), (right, "v1", 2)):
            run(f"ip -n {name} addr add 10.9.9.{last}/24 dev {device}")
            run(f"ip -n {name} link set {device} up")
        run(f"ip netns exec {left} ping -c1 -W1 10.9.9.2")
        yield left, right
    finally:
        for name in (left, right):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def send(namespaces: tuple[str, str], packets: int = _PACKETS) -> float:
    """Send small UDP packets to a socket that never reads; return packets a second."""
    with syscalls.network_namespace(f"/run/netns/{namespaces[1]}"):
        sink = socket.socket(type=socket.SOCK_DGRAM)
        sink.bind(("10.9.9.2", _PORT))
    with syscalls.network_namespace(f"/run/netns/{namespaces[0]}"):
        source = socket.socket(type=socket.SOCK_DGRAM)
        source.connect(("10.9.9.2", _PORT))
    payload = bytes(22)
    with sink, source:
        start = time.perf_counter()
        for _ in range(packets):
            source.send(payload)
        return packets / (time.perf_counter() - start)


def program_times() -> dict[str, tuple[int, int]]:
    """Return (calls, ns) of each loaded program by name and id."""
    found = {}
    for program in json.loads(run("bpftool -j prog show")):
        key = f"{program.get('name', '?')}#{program['id']}"
        found[key] = (program.get("run_cnt", 0), program.get("run_time_ns", 0))
    return found


def per_call(before: dict[str, tuple[int, int]]) -> dict[str, float]:
    result = {}
    for key, (calls, spent) in program_times().items():
        was = before.get(key, (0, 0))
        if calls - was[0] >= _PACKETS // 2:
            result[re.sub("#.*", "", key)] = round((spent - was[1]) / (calls - was[0]), 1)
    return result


@contextmanager
def empty_programs() -> Iterator[None]:
    """Attach empty typed programs to the tracepoints that are measured."""
    links = []
    for name in ("netif_receive_skb", "net_dev_start_xmit", "kfree_skb"):
        target = btf.kernel().typedef_id(f"btf_trace_{name}")
        program = syscalls.load_program(26, _EMPTY, f"empty_{name}", 23, target)
        links += [program, syscalls.open_raw_tracepoint(program, None)]
    try:
        yield
    finally:
        for link in links:
            os.close(link)


def costs(engine_name: str, namespaces: tuple[str, str], flow: FlowFilter) -> dict[str, float]:
    statistics = syscalls.enable_statistics()
    engine = create_engine(engine_name)
    try:
        engine.load(Config(flow, ring_bytes=1 << 27))
        engine.attach()
        with empty_programs():
            before = program_times()
            send(namespaces)
            return per_call(before)
    finally:
        engine.close()
        os.close(statistics)


def ready(engine_name: str) -> float:
    """Return seconds from the start of a Python process to attached, the best of three."""
    code = (
        "from tracer.core.filter import FlowFilter\n"
        "from tracer.sources.live.engine import Config, create_engine\n"
        f"engine = create_engine({engine_name!r})\n"
        "engine.load(Config(FlowFilter(icmp_id=1)))\n"
        "engine.attach()\n"
    )
    best = 1e9
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        best = min(best, time.perf_counter() - start)
    return best


def drain_rate(engine_name: str, namespaces: tuple[str, str]) -> float:
    engine = create_engine(engine_name)
    try:
        engine.load(Config(FlowFilter(proto=17), ring_bytes=1 << 28))
        engine.attach()
        send(namespaces)
        start = time.perf_counter()
        drained = len(engine.drain())
        return drained / (time.perf_counter() - start)
    finally:
        engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="core")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    engine = arguments.engine
    with veth() as namespaces:
        untraced = send(namespaces)
        figures: dict[str, object] = {
            "kernel": os.uname().release,
            "load": os.getloadavg()[0],
            "ready_s": round(ready(engine), 3),
            "other_protocol_ns": costs(engine, namespaces, FlowFilter(icmp_id=1)),
            "other_port_ns": costs(engine, namespaces, FlowFilter(proto=17, dport=(53,))),
            "other_host_ns": costs(engine, namespaces, FlowFilter(host=("192.0.2.1",))),
            "matching_ns": costs(engine, namespaces, FlowFilter(proto=17)),
            "drained_per_s": round(drain_rate(engine, namespaces)),
            "untraced_pps": round(untraced),
        }
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
