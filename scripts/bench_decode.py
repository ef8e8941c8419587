"""Decoding a capture to columns, against tcpdump, tshark and a dpkt loop, in one run.

Makes a capture of ICMP, TCP and UDP, half of it VLAN-tagged, 60 to 1500 bytes a packet, and reads
it with each. Figures are the best of a few `--rounds`; slow peers read the first `--slow` packets,
and their time is scaled up, which is said. Exit status 1 when a target is missed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

START_S = 1_700_000_000
RECORD = np.dtype([("s", "<u4"), ("ns", "<u4"), ("captured", "<u4"), ("length", "<u4")])
HEADER = bytes.fromhex("4d3cb2a1 0200 0400 00000000 00000000 00000400 01000000")
FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "ip.ttl", "ip.id")
MEMORY_ALLOWANCE = 200_000_000  # beside 1.5 times the columns
ROWS_AT_ONCE = 20_000


def make_capture(path: Path, packets: int, seed: int = 1) -> None:
    """Write the mixed capture, 20 000 packets at a time."""
    random = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(HEADER)
        for start in range(0, packets, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, packets - start)
            file.write(_records(random, np.arange(start, start + count)))


def _records(random: np.random.Generator, numbers: NDArray[np.int64]) -> bytes:
    count = len(numbers)
    lengths = random.integers(60, 1501, count)
    starts = np.concatenate([[0], np.cumsum(lengths + RECORD.itemsize)])
    data = random.integers(0, 256, int(starts[-1]), dtype=np.uint8)
    starts = starts[:-1]
    records = np.zeros(count, RECORD)
    records["s"], records["ns"] = START_S + numbers // 1_000_000, numbers % 1_000_000 * 1000
    records["captured"] = records["length"] = lengths
    _put(data, starts, records.view(np.uint8).reshape(count, -1))
    kinds, tagged = random.integers(0, 3, count), random.integers(0, 2, count)
    for kind in range(3):
        for tag in range(2):
            chosen = (kinds == kind) & (tagged == tag)
            _headers(random, data, starts[chosen] + RECORD.itemsize, lengths[chosen], kind, tag)
    return data.tobytes()


def _headers(
    random: np.random.Generator,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    kind: int,
    tag: int,
) -> None:
    # Ethernet, perhaps a tag, IPv4, and ICMP echo, TCP without options or UDP; the rest is noise.
    ethernet = bytes.fromhex("fa163e00000afa163e00000b") + (b"\x81\0\0\x14" if tag else b"")
    protocol = (1, 6, 17)[kind]
    ip = bytes.fromhex("4500000000004000 40") + bytes([protocol]) + bytes.fromhex("0000 0a000001")
    count = len(starts)
    header = np.tile(np.frombuffer(ethernet + b"\x08\0" + ip, np.uint8), (count, 1))
    at = len(ethernet) + 2
    header[:, at + 2 : at + 4] = _be16(lengths - at)
    header[:, at + 4 : at + 6] = random.integers(0, 256, (count, 2))
    _put(data, starts, header)
    after = starts + at + 20
    if kind == 0:
        _put(data, after, np.tile(np.array([8, 0], np.uint8), (count, 1)))
    elif kind == 1:
        _put(data, after + 12, np.tile(np.array([0x50, 0x10], np.uint8), (count, 1)))
    else:
        _put(data, after, np.tile(_be16(np.array([61000])), (count, 2)))
        _put(data, after + 4, _be16(lengths - at - 20))


def _put(data: NDArray[np.uint8], starts: NDArray[np.int64], rows: NDArray[np.uint8]) -> None:
    data[starts[:, None] + np.arange(rows.shape[1])] = rows


def _be16(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    return numbers.astype(">u2").view(np.uint8).reshape(len(numbers), 2)


def run_ours(path: Path, rounds: int) -> None:
    """Print, as JSON, seconds, rows, bytes of columns and peak memory of reading the capture."""
    from tracer import jit_cache

    jit_cache.prepare()
    from tracer.sources.read import read

    best, rows, columns = 1e9, 0, 0
    # The first compiles, or loads what was compiled; ours are short, so that noise needs more.
    for _ in range(4 * rounds + 1):
        started = time.perf_counter()
        batch = read([path]).batch
        best = min(best, time.perf_counter() - started)
        rows = len(batch)
        columns = batch.packets.nbytes + sum(part.nbytes for part in batch.sections.values())
        del batch
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": best, "rows": rows, "columns": columns, "peak": peak}))


def run_dpkt(path: Path) -> float:
    """Return the seconds a dpkt loop takes over five fields of each packet."""
    import dpkt

    rows = []
    started = time.perf_counter()
    with path.open("rb") as file:
        for stamp, raw in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(raw).data
            rows.append((stamp, ip.src, ip.dst, ip.ttl, ip.id))
    return time.perf_counter() - started


def run_command(command: list[str]) -> float:
    """Return the seconds a command takes, its output thrown away."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def best_of(rounds: int, run: Callable[[], float]) -> float:
    """Return the least of several timings: other work on the machine only adds."""
    return min(run() for _ in range(rounds))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--packets", type=int, default=1_000_000)
    options.add_argument("--slow", type=int, default=200_000, help="packets for tshark and dpkt")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.ours:
        run_ours(chosen.ours, chosen.rounds)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return compare(
            Path(folder), chosen.packets, min(chosen.slow, chosen.packets), chosen.rounds
        )


def compare(folder: Path, packets: int, slow: int, rounds: int) -> int:
    """Print the figures; return 1 when a target is missed."""
    whole, part = folder / "whole.pcap", folder / "part.pcap"
    make_capture(whole, packets)
    make_capture(part, slow)
    print(f"{packets} packets, {whole.stat().st_size / 1e6:.0f} MB")
    command = [sys.executable, __file__, "--rounds", str(rounds), "--ours", str(whole)]
    ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert ours["rows"] == packets
    seconds = ours["seconds"]
    threads = len(os.sched_getaffinity(0))
    speed = packets / seconds / 1e6
    print(f"tracer        {seconds:8.3f} s  {speed:6.2f} M packets/s, on {threads} processors")
    fields = [word for name in FIELDS for word in ("-e", name)]
    tshark = ["tshark", "-n", "-r", str(part), "-T", "fields", *fields]
    tcpdump = ["tcpdump", "-nn", "-r", str(whole)]
    scale = packets / slow
    peers = {
        "tcpdump -nn": (best_of(1, lambda: run_command(tcpdump)), 10),
        "tshark fields": (scale * best_of(2, lambda: run_command(tshark)), 60),
        "dpkt loop": (scale * best_of(2, lambda: run_dpkt(part)), 60),
    }
    met = True
    for name, (peer, target) in peers.items():
        ratio = peer / seconds
        met &= ratio >= target
        note = f", scaled from {slow}" if scale > 1 and target == 60 else ""
        print(f"{name:13} {peer:8.2f} s  {ratio:6.1f} times as long (target {target}{note})")
    allowed = 1.5 * ours["columns"] + MEMORY_ALLOWANCE
    met &= ours["peak"] < allowed
    print(
        f"peak memory {ours['peak'] / 1e6:.0f} MB, columns {ours['columns'] / 1e6:.0f} MB"
        f" (target below {allowed / 1e6:.0f} MB)"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
