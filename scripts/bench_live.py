#!/usr/bin/env python3
"""Measure what live tracing costs on this kernel, each figure beside its goal.

    sudo scripts/bench_live.py [--engine core|bcc] [--json]

The ns a call come from the kernel's own run-time statistics of BPF programs, less what an empty
program attached beside costs; they are the least of many short slices, because other work on the
machine only ever adds. Rates are ratios of the packets sent in CPU time (of the sender, in whose
time all hooks run), traced and untraced in turn. Everything happens between two namespaces of its
own, joined by a veth pair, whose packets conntrack sees.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "scripts"))

from bench_live_stream import correlated, decoded  # noqa: E402

from tracer.core.filter import FlowFilter  # noqa: E402
from tracer.sources.live import btf, syscalls  # noqa: E402
from tracer.sources.live.engine import Config, create_engine  # noqa: E402
from tracer.sources.live.engine_base import LoadedEngine  # noqa: E402

_EMPTY = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
_BESIDE = {  # a program of ours, and the tracepoint it shares with an empty one
    "receive": "netif_receive_skb",
    "xmit": "net_dev_start_xmit",
    "kfree": "kfree_skb",
}
_PORT, _SLICE, _SLICES, _JOURNEYS = 7999, 4000, 20, 20
_OTHER_FLOW = FlowFilter(host=("192.0.2.1",))
_THIS_FLOW = FlowFilter(proto=17)
_CONNTRACK = "ct state established counter"
Figures = dict[str, tuple[Any, str]]  # name: what was measured, and the goal in words


def run(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


@contextmanager
def veth() -> Iterator[tuple[str, str]]:
    """Two namespaces whose packets go through conntrack."""
    left, right = f"bench{os.getpid()}a", f"bench{os.getpid()}b"
    try:
        for name in (left, right):
            run(f"ip netns add {name}")
        run(f"ip -n {left} link add v0 type veth peer name v1 netns {right}")
        for name, device, last in ((left, "v0", 1), (right, "v1", 2)):
            run(f"ip -n {name} addr add 10.9.9.{last}/24 dev {device}")
            run(f"ip -n {name} link set {device} up")
            for hook in ("input", "output"):
                chain = f"chain {hook} {{ type filter hook {hook} priority 0; {_CONNTRACK}; }}"
                run(f"ip netns exec {name} nft 'table ip bench {{ {chain}; }}'")
        run(f"ip netns exec {left} ping -c1 -W1 10.9.9.2")
        yield left, right
    finally:
        for name in (left, right):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Sender:
    """Sends UDP packets of 64 bytes on the wire to a socket that nobody reads."""

    def __init__(self, namespaces: tuple[str, str]) -> None:
        with syscalls.network_namespace(f"/run/netns/{namespaces[1]}"):
            self._sink = socket.socket(type=socket.SOCK_DGRAM)
            self._sink.bind(("10.9.9.2", _PORT))
        with syscalls.network_namespace(f"/run/netns/{namespaces[0]}"):
            self._source = socket.socket(type=socket.SOCK_DGRAM)
            self._source.connect(("10.9.9.2", _PORT))

    def send(self, packets: int = _SLICE) -> float:
        """Send a slice and return the CPU seconds of a packet."""
        send, payload = self._source.send, bytes(22)
        start = time.thread_time()
        for _ in range(packets):
            send(payload)
        return (time.thread_time() - start) / packets

    def close(self) -> None:
        self._sink.close()
        self._source.close()


@contextmanager
def attached(engine_name: str, flow: FlowFilter) -> Iterator[LoadedEngine]:
    with create_engine(engine_name) as engine:
        assert isinstance(engine, LoadedEngine)
        engine.load(Config(flow))
        engine.attach()
        yield engine


@contextmanager
def empty_programs() -> Iterator[dict[str, int]]:
    """Attach empty typed programs; gives their descriptors by tracepoint."""
    with ExitStack() as stack:
        programs = {}
        for name in _BESIDE.values():
            target = btf.kernel().typedef_id(f"btf_trace_{name}")
            program = syscalls.load_program(26, _EMPTY, f"empty_{name}", 23, target)
            stack.callback(os.close, program)
            stack.callback(os.close, syscalls.open_raw_tracepoint(program, None))
            programs[name] = program
        yield programs


def costs(engine_name: str, sender: Sender, flow: FlowFilter) -> dict[str, float]:
    """Return the least ns a call of each program that runs for each packet, above an empty one."""
    statistics = syscalls.enable_statistics()
    least: dict[str, float] = {}
    try:
        with attached(engine_name, flow) as engine, empty_programs() as empty:

            def times() -> dict[str, tuple[int, int]]:
                beside = {name: syscalls.program_times(fd) for name, fd in empty.items()}
                return {**engine.program_times(), **beside}

            before = times()
            for _ in range(_SLICES):
                sender.send()
                engine.drain()
                after = times()
                for name, (calls, spent) in after.items():
                    made = calls - before[name][0]
                    if made >= _SLICE // 2:
                        cost = (spent - before[name][1]) / made
                        least[name] = min(least.get(name, cost), cost)
                before = after
    finally:
        os.close(statistics)
    floor = min(least[name] for name in _BESIDE.values())
    return {
        name: round(cost - least.get(_BESIDE.get(name.split("_")[0], ""), floor), 1)
        for name, cost in least.items()
        if name not in _BESIDE.values()
    }


def udp_ratios(engine_name: str, sender: Sender) -> tuple[float, float]:
    """Return packets a CPU second while another flow is followed, to those untraced; and those with
    empty programs, which is what the kernel itself takes to call any.
    """
    traced, empty, untraced = [], [], []
    for _ in range(4):
        untraced += [sender.send() for _ in range(8)]
        with attached(engine_name, _OTHER_FLOW):
            traced += [sender.send() for _ in range(8)]
        with empty_programs():
            empty += [sender.send() for _ in range(8)]
    return round(min(untraced) / min(traced), 3), round(min(untraced) / min(empty), 3)


def tcp_ratios(engine_name: str, namespaces: tuple[str, str]) -> tuple[Any, Any]:
    """Return what iperf3 moves while another flow is followed, to untraced: in bits a second, and
    in bits a CPU second of its two ends; None without iperf3.

    Runs of a second differ by a tenth among themselves, up and down: medians of many tell more than
    the best of a few.
    """
    command = ["ip", "netns", "exec", namespaces[1], "iperf3", "-s"]
    try:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return None, None
    try:
        traced, untraced = [], []
        for number in range(16):
            if number % 2:  # in turns, because which comes first tells, too
                untraced.append(_tcp(namespaces[0]))
            with attached(engine_name, _OTHER_FLOW):
                traced.append(_tcp(namespaces[0]))
            if not number % 2:
                untraced.append(_tcp(namespaces[0]))
        pairs = zip(zip(*traced, strict=True), zip(*untraced, strict=True), strict=True)
        by_time, by_cpu = (round(median(own) / median(bare), 3) for own, bare in pairs)
        return by_time, by_cpu
    finally:
        server.terminate()
        server.wait()


def _tcp(namespace: str) -> tuple[float, float]:
    # Bits a second, and bits a CPU second of both ends.
    command = f"ip netns exec {namespace} iperf3 -c 10.9.9.2 -t 1 -J"
    deadline = time.monotonic() + 10
    while True:  # until the server listens, and is done with the one before
        said = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
        try:
            end = json.loads(said.stdout)["end"]
            cpu = end["cpu_utilization_percent"]
            rate = float(end["sum_received"]["bits_per_second"])
            return rate, rate * 100 / float(cpu["host_total"] + cpu["remote_total"])
        except (KeyError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def ready(engine_name: str) -> tuple[float, float, float]:
    """Return wall and CPU seconds from the start of `tracer follow` to ready, and its RSS in MB."""
    walls, cpus, sizes = [], [], []
    for _ in range(6):
        with tempfile.TemporaryDirectory() as folder:
            flag = Path(folder, "ready")
            words = ["--icmp-id", "1", "--engine", engine_name, "--duration", "1"]
            command = [sys.executable, "-m", "tracer.cli", "follow", *words]
            command += ["--ready-file", str(flag)]
            start = time.perf_counter()
            with open(os.devnull, "w") as null:
                process = subprocess.Popen(command, cwd=ROOT, stdout=null, stderr=null)
                while not flag.exists() and process.poll() is None:
                    time.sleep(0.0005)
                walls.append(time.perf_counter() - start)
                # Its first field: ns on a CPU, of the one thread there is by then.
                spent = Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]
                cpus.append(int(spent) / 1e9)
                sizes.append(_peak(process))
    return round(min(walls), 3), round(min(cpus), 3), round(min(sizes))


def latency(engine_name: str, sender: Sender) -> float:
    """Return the ms after its settle time at which `tracer follow` prints a journey, at most."""
    settle_s, beyond = 0.2, []
    with tempfile.TemporaryDirectory() as folder:
        flag = Path(folder, "ready")
        words = ["--port", str(_PORT), "--engine", engine_name, "--settle", str(settle_s)]
        command = [sys.executable, "-m", "tracer.cli", "follow", *words, "--format", "jsonl"]
        command += ["--ready-file", str(flag)]
        with (
            open(os.devnull, "w") as null,
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=null) as process,
        ):
            assert process.stdout is not None
            while not flag.exists() and process.poll() is None:
                time.sleep(0.005)
            for number in range(_JOURNEYS + 1):
                sender.send(1)
                last_ns = json.loads(process.stdout.readline())["last_ns"]
                if number:  # the first one waits for what is imported after it is ready
                    beyond.append((time.time_ns() - last_ns) / 1e6 - settle_s * 1e3)
            process.terminate()
    return float(round(max(beyond), 1))


def _peak(process: "subprocess.Popen[bytes]") -> float:
    # The most memory it had, MB, looked at until it ends (its rusage would count its parent's).
    peak = 0.0
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1]) / 1024
        time.sleep(0.01)
    return peak


def measured(engine: str, namespaces: tuple[str, str], sender: Sender) -> Figures:
    wall, cpu, size = ready(engine)
    other, match = costs(engine, sender, _OTHER_FLOW), costs(engine, sender, _THIS_FLOW)
    hooks = [f"{name}_typed" for name in _BESIDE]
    with attached(engine, _THIS_FLOW) as loaded:
        rate = decoded(loaded, sender.send)
    tcp, tcp_by_cpu = tcp_ratios(engine, namespaces)
    udp, udp_by_empty = udp_ratios(engine, sender)
    limit = 0.35 if engine == "core" else 1.0
    return {
        "start to ready, s": (wall, f"<= {limit}"),
        "the same in CPU seconds": (cpu, f"<= {limit}"),
        "whole process, MB RSS": (size, "<= 160" if engine == "core" else ""),
        "not matching, ns a call": (max(other.get(hook, 0.0) for hook in hooks), "<= 60"),
        "matching with conntrack, ns a call": (max(match.get(h, 0.0) for h in hooks), "<= 350"),
        "  not matching, each": (other, ""),
        "  matching, each": (match, ""),
        "UDP rate, following another flow": (udp, ">= 0.9"),
        f"  with {len(_BESIDE)} empty programs": (udp_by_empty, ""),
        "TCP rate, following another flow": (tcp, ">= 0.97"),
        "the same a CPU second of its ends": (tcp_by_cpu, ""),
        "drain and decode, events/s": (rate, ">= 2000000"),
        "correlate live, events a CPU second": (correlated(), ">= 200000"),
        "settled to printed, ms at most": (latency(engine, sender), "<= 50"),
    }


def stands(value: Any, goal: str) -> str:
    if not goal or value is None:
        return ""
    limit = float(goal[3:])
    kept = value <= limit if goal.startswith("<=") else value >= limit
    return "met" if kept else "NOT MET"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("core", "bcc"), action="append")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("Measuring live tracing needs root. Run it with sudo.")
    found = {}
    for engine in arguments.engine or ("core", "bcc"):
        with veth() as namespaces:
            sender = Sender(namespaces)
            try:
                found[engine] = measured(engine, namespaces, sender)
            finally:
                sender.close()
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    kernel = os.uname().release.split("-")[0]
    print(f"kernel {kernel}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for engine, figures in found.items():
        print(f"\n{engine}")
        for name, (value, goal) in figures.items():
            print(f"  {name:38} {value!s:>12}  {goal:12} {stands(value, goal)}")


if __name__ == "__main__":
    main()
