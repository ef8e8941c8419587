"""Capturing at many points of the lab at once, with a points.toml and the conntrack tables."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tracer.core.errors import LabError
from tracer.lab.building import status
from tracer.lab.commands import require, run_in
from tracer.lab.traffic.log import Sent
from tracer.lab.truth import Point, TrueHop, case

READY_S = 20.0
COMPLETE_S = 10.0


@dataclass(frozen=True, slots=True)
class Recording:
    """What `record` left in its folder: the point of each file, the sender's log."""

    folder: Path
    files: dict[str, Point]
    log: tuple[Sent, ...]


def file_name(point: Point) -> str:
    """Return the capture file of a point: `compute03-qr-1f6b0aa3-3d.pcap`."""
    return f"{point.host}-{point.device}.pcap"


def record(
    folder: Path,
    points: Sequence[Point],
    traffic: Callable[[], list[Sent]],
    *,
    tool: str = "tcpdump",
    options: Sequence[str] = (),
    clock: str | None = None,
) -> Recording:
    """Return the recording of `traffic` at every point at once, written to `folder`.

    Waits until every capture runs before the traffic starts, and afterwards until the files hold
    every packet of its log at every hop of its path. Writes a pcap a point (`tool` is tcpdump, or
    dumpcap for pcapng with interface names; `options` are passed on to it), points.toml,
    conntrack/NETNS.txt, iptables/NETNS.txt, truth.json. Raises LabError naming the point that stays
    short of a packet.
    """
    require(
        [tool, "conntrack", "iptables-save"],
        {"dumpcap": "wireshark-common", "iptables-save": "iptables"},
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = {file_name(point): point for point in points}
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(_capture(tool, options, point, folder / name))
            for name, point in files.items()
        ]
        for process in running:
            _await_listening(process)
        log = traffic()
        _await_complete(folder, files, log)
        _dump_conntrack(folder / "conntrack", points)
        dump_rules(folder / "iptables", points)
    write_points(folder, files, clock)
    write_truth(folder / "truth.json", log, tagged=status().tagging != "untagged")
    return Recording(folder, files, tuple(log))


@contextlib.contextmanager
def _capture(
    tool: str, options: Sequence[str], point: Point, path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    usual = ["-U", "--immediate-mode", "-Z", "root", "-n"] if tool == "tcpdump" else ["-q"]
    command = [tool, *usual, *options, "-i", point.device, "-w", str(path)]
    argv = ["ip", "netns", "exec", point.netns, *command]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def _await_listening(process: subprocess.Popen[bytes]) -> None:
    # tcpdump says "listening on", dumpcap names its file, once packets are being taken.
    assert process.stderr is not None
    said, deadline = b"", time.monotonic() + READY_S
    while b"listening on" not in said and b"File: " not in said:
        ready, _, _ = select.select([process.stderr], [], [], max(deadline - time.monotonic(), 0))
        more = os.read(process.stderr.fileno(), 4096) if ready else b""
        if not more:
            complaint = said.decode(errors="replace").strip() or "it said nothing"
            raise LabError(f"A capture did not start: {complaint}", hint="Run: tracer lab status")
        said += more


def _await_complete(folder: Path, files: dict[str, Point], log: Iterable[Sent]) -> None:
    wanted = _expected(log)
    deadline = time.monotonic() + COMPLETE_S
    for name, point in files.items():
        while short := _short(folder / name, wanted.get(point, Counter())):
            if time.monotonic() > deadline:
                message = f"{name} never held {short} of the packets that must pass there."
                raise LabError(message, "Run: tracer lab status")
            time.sleep(0.02)


def _expected(log: Iterable[Sent]) -> dict[Point, Counter[bytes]]:
    wanted: dict[Point, Counter[bytes]] = {}
    for line in log:
        for hop in line.path:
            wanted.setdefault(hop.point, Counter())[line.marker] += 1
    return wanted


def _short(path: Path, wanted: Counter[bytes]) -> int:
    held = path.read_bytes() if path.exists() else b""
    return sum(max(count - held.count(marker), 0) for marker, count in wanted.items())


def _dump_conntrack(folder: Path, points: Iterable[Point]) -> None:
    folder.mkdir(exist_ok=True)
    for netns in dict.fromkeys(point.netns for point in points):
        dump = run_in(netns, ["conntrack", "-L", "-o", "extended,id"])
        (folder / f"{netns}.txt").write_text(dump)


def dump_rules(folder: Path, points: Iterable[Point]) -> None:
    """Write NETNS.txt, `iptables-save -c`, of each of the points' namespaces that has rules."""
    folder.mkdir(exist_ok=True)
    for netns in dict.fromkeys(point.netns for point in points):
        if dump := run_in(netns, ["iptables-save", "-c"]):
            (folder / f"{netns}.txt").write_text(dump)


def write_points(
    folder: Path, files: Mapping[str, Point | Sequence[Point]], clock: str | None = None
) -> None:
    """Write points.toml: which capture was taken where, the conntrack and iptables dumps there.

    A file with several points is a pcapng, an interface a point in that order.
    """
    out, places = [], {}
    for name, held in files.items():
        several = not isinstance(held, Point)
        for interface, point in enumerate([held] if isinstance(held, Point) else held):
            out += ["[[point]]", f'file = "{name}"', *_place(point), f'device = "{point.device}"']
            out += [f"interface = {interface}"] if several else []
            out += [f'clock = "{clock}"', ""] if clock else [""]
            places[point.netns] = point
    for netns, point in places.items():
        out += ["[[conntrack]]", f'file = "conntrack/{netns}.txt"', *_place(point), ""]
    for netns, point in places.items():
        if (folder / "iptables" / f"{netns}.txt").exists():
            out += ["[[rules]]", f'file = "iptables/{netns}.txt"', *_place(point), ""]
    (folder / "points.toml").write_text("\n".join(out))


def _place(point: Point) -> list[str]:
    return [f'host = "{point.host}"', f'netns = "{point.netns}"']


def write_truth(path: Path, log: Sequence[Sent], *, tagged: bool) -> None:
    """Write the sender's log and the true hops of each path in it as JSON.

    `packets` has a line a packet sent; `path` names its hops in `paths`; `lost_after` null means
    that it went all the way. VLANs are null when the provider network is not `tagged`.
    """
    paths = {f"{line.case}/{line.kind}": _whole(line, tagged) for line in log}
    packets = [packet_fields(line) for line in log]
    lines = ",\n".join("  " + json.dumps(entry) for entry in packets)
    hops = ",\n".join(
        f' "{name}": [\n' + ",\n".join("  " + json.dumps(hop) for hop in rows) + "\n ]"
        for name, rows in sorted(paths.items())
    )
    path.write_text(f'{{"paths": {{\n{hops}\n}},\n"packets": [\n{lines}\n]}}\n')


def packet_fields(line: Sent) -> dict[str, Any]:
    """Return a log line's fields as JSON has them, `path` (case/kind) first."""
    marker = line.marker.decode("ascii", "backslashreplace")[:32]
    return {"path": f"{line.case}/{line.kind}", **asdict(line), "marker": marker}


def _whole(line: Sent, tagged: bool) -> list[dict[str, object]]:
    return [_flat(hop, tagged) for hop in case(line.case).path(line.kind)]


def _flat(hop: TrueHop, tagged: bool) -> dict[str, object]:
    fields = asdict(hop)
    del fields["point"]
    return {**hop.point._asdict(), **fields, "vlan": hop.vlan if tagged else None}
