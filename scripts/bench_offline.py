"""Captures of eight points to journeys in Parquet, against tshark reading the same packets.

Makes the captures, runs `tracer offline` on them in a fresh process (compiled code is cached) and
`tshark -T fields` on a smaller set of the same kind, whose time is scaled up, which is said. Then
compares the journeys of windows with those of all packets at once (the first size).
Exit status 1 when a target is missed. `--full` does 5 and 20 million packets: growth and memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

from scenarios.bulk import bulk_points, write_bulk_pcaps  # noqa: E402

FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "ip.ttl", "ip.id")
FULL = (5_000_000, 20_000_000)
PER_SECOND, FASTER, GROWTH, MEMORY = 1_000_000, 10, 4.4, 2_000_000_000
RATED = 5_000_000  # packets from which on the rate and the memory are held against the targets


@dataclass(frozen=True, slots=True)
class Run:
    """What a process took: seconds, processor seconds of all its threads, bytes at its peak."""

    seconds: float
    cpu: float
    peak: int


def run(command: list[str]) -> Run:
    """Return what a command took; its output is thrown away, its failure ends the bench."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command[:6])} ... ended with {child.returncode}")
    seconds = time.perf_counter() - started
    return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def ours(folder: Path, packets: int) -> Run:
    """Write captures of so many packets and return what `tracer offline` took to a Parquet file."""
    paths = write_bulk_pcaps(folder, packets)
    command = [sys.executable, "-m", "tracer.cli", "offline", "-o", str(folder / "hops.parquet")]
    for point, path in zip(bulk_points(), paths, strict=True):
        command += ["--point", f"{point.host}/{point.device}={path}"]
    return run(command)


def tshark(folder: Path, packets: int) -> Run:
    """Write captures of so many packets and return what tshark took, file after file."""
    fields = [word for name in FIELDS for word in ("-e", name)]
    runs = [
        run(["tshark", "-n", "-r", str(path), "-T", "fields", *fields])
        for path in write_bulk_pcaps(folder, packets)
    ]
    return Run(sum(r.seconds for r in runs), sum(r.cpu for r in runs), max(r.peak for r in runs))


def compared(*numbers: int, out: int | None = None) -> bool:
    """Compare windows with all packets at once (`bench_offline_same.py`); return whether alike."""
    script = str(ROOT / "scripts" / "bench_offline_same.py")
    command = [sys.executable, script, *map(str, numbers)]
    return not subprocess.run(command, check=False, stdout=out).returncode


def report(packets: int, found: Run, peer: Run, peer_packets: int) -> bool:
    """Print the figures of a size and return whether they meet the targets."""
    rate, scale = packets / found.seconds, packets / peer_packets
    faster = peer.seconds * scale / found.seconds
    print(
        f"{packets} packets: {found.seconds:.2f} s, {rate / 1e6:.2f} M packets/s, processor"
        f" {found.cpu:.2f} s ({packets / found.cpu / 1e6:.2f} M/s), peak {found.peak / 1e6:.0f} MB"
    )
    print(
        f"  tshark fields {peer.seconds * scale:.1f} s, scaled from {peer_packets} packets:"
        f" {faster:.1f} times as long (target {FASTER}), processor"
        f" {peer.cpu * scale / found.cpu:.1f} times",
        flush=True,
    )
    rated = packets < RATED or (rate >= PER_SECOND and found.peak < MEMORY)
    return faster >= FASTER and rated


def main() -> int:
    """Run the sizes asked for and return the exit status."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--packets", type=int, default=1_000_000)
    options.add_argument("--slow", type=int, default=100_000, help="packets for tshark")
    options.add_argument("--full", action="store_true", help="5 and 20 million packets")
    chosen = options.parse_args()
    sizes = FULL if chosen.full else (chosen.packets,)
    with tempfile.TemporaryDirectory() as folder:
        return compare(Path(folder), sizes, min(chosen.slow, *sizes))


def compare(folder: Path, sizes: tuple[int, ...], slow: int) -> int:
    """Print the figures of the sizes; return 1 when a target is missed."""
    peer = tshark(folder / "part", slow)
    ours(folder / "part", slow)  # compiles, or loads what was compiled
    compared(slow, slow // 4, out=subprocess.DEVNULL)  # and what windows take beyond that
    met, runs = True, []
    for packets in sizes:
        place = folder / str(packets)
        runs.append(ours(place, packets))
        met &= report(packets, runs[-1], peer, slow)
        for path in place.iterdir():
            path.unlink()
    if len(sizes) > 1:
        growth = runs[-1].seconds / runs[0].seconds
        met &= growth <= GROWTH
        print(f"{sizes[-1]} packets take {growth:.2f} times {sizes[0]} (target {GROWTH})")
    met &= compared(sizes[0])
    print(f"targets: {PER_SECOND / 1e6:.0f} M packets/s and {MEMORY / 1e6:.0f} MB from {RATED} on")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
