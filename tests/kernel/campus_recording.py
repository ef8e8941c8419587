"""One recording of the campus that several files of tests look at, and what tshark reads in it."""

import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from campus import Campus, campus
from campus_traffic import Traffic, everything, servers
from routed import run
from user_tunnel import user_tunnels
from wire import tcpdumps

PLACES = {
    "A": ("a0",), "B": ("b0",), "C": ("c0",), "lan": ("pa", "pb", "pc", "pr"), "R1": ("i0", "o0"),
    "R2": ("i1", "e1", "e2"), "R3": ("f1", "f2", "s1", "vx1", "gn1", "gr1"),
    "S": ("s0", "vx0", "gn0", "gr0"),
}  # fmt: skip
DEVICES = tuple(device for devices in PLACES.values() for device in devices)
ROUTERS = ("R1", "R2", "R3")
MARK = b"the-recording-ends"
EARLY, PAUSED, COUNTED = "s0-early", "i0-paused", "o0-counted"
SHORT_SLOTS = "-s 2000"  # of which the buffer has many: else each has room for a super-packet
FIELDS = (
    "frame.interface_id", "icmp.type", "icmpv6.type", "ip.frag_offset", "ipv6.fraghdr.offset",
    "udp.payload", "data.data", "tcp.seq_raw", "tcp.len", "tcp.dstport", "ipv6.src", "ipv6.dst",
    "icmpv6.echo.identifier", "icmpv6.echo.sequence_number",
)  # fmt: skip
PROC = Path("/proc/net/nf_conntrack")  # not in every kernel
DUMPS = {
    "plain": ("conntrack -L", "conntrack -L -f ipv6"),
    "extended": ("conntrack -L -o extended", "conntrack -L -f ipv6 -o extended"),
    "id": ("conntrack -L -o id", "conntrack -L -f ipv6 -o id"),
    "xml": ("conntrack -L -o xml", "conntrack -L -f ipv6 -o xml"),
    "proc": (f"cat {PROC}",),
}


@dataclass
class Recorded:
    """The folder of captures, the numbers sent by kind, the dumps, and tshark's rows by file."""

    folder: Path
    log: dict[str, list[int]]
    frames: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    dumps: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    @property
    def named(self) -> Path:
        """A folder of the same captures whose points.toml says where each was made."""
        return self.folder / "named"

    def number(self, file: str, frame: int) -> int | None:
        """Return the number that a frame's payload shows, or the packet that it quotes."""
        return number_in(self.frames[file][frame - 1])


def number_in(row: dict[str, str]) -> int | None:
    text = re.search(r"237472616365723a((?:3\d){7})23", row["udp.payload"] + "," + row["data.data"])
    return int(bytes.fromhex(text[1])) if text else None


class Captures:
    """Captures that end early, or miss what passes while their program is stopped."""

    def __init__(self, net: Campus, folder: Path) -> None:
        dump = "tcpdump -Z root -n -U --immediate-mode"
        self._folder = folder
        early = f"{dump} -i s0 {SHORT_SLOTS} -w {folder}/{EARLY}.pcap"
        self._early = self._start(net, "S", early)
        # So small a buffer holds some of the burst; only a pcapng says how many it did not.
        self._paused = self._start(net, "R1", f"{dump} -i i0 -B 64 -w {folder}/{PAUSED}.pcap")
        self._counted = self._start(
            net, "R1", f"dumpcap -q -i o0 -B 1 -w {folder}/{COUNTED}.pcapng"
        )

    @staticmethod
    def _start(net: Campus, short: str, command: str) -> subprocess.Popen[bytes]:
        words = ["ip", "netns", "exec", net.name(short), *command.split()]
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert child.stderr is not None
        while b"listening on" not in (said := child.stderr.readline()) and b"File: " not in said:
            assert said, command
        return child

    def halfway(self, latest: bytes) -> None:
        file, until = self._folder / f"{EARLY}.pcap", time.monotonic() + 20
        while latest not in file.read_bytes():  # what was sent may not be written yet
            assert time.monotonic() < until
            time.sleep(0.01)
        assert b"\n0 packets dropped by kernel" in self._end(self._early)

    def pause(self) -> None:
        for child in (self._paused, self._counted):
            child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        for child in (self._paused, self._counted):
            child.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for child in (self._early, self._paused, self._counted):
            self._end(child)

    @staticmethod
    def _end(child: subprocess.Popen[bytes]) -> bytes:
        # What it says at last; nothing when it has ended before.
        if child.returncode is not None:
            return b""
        child.send_signal(signal.SIGCONT)
        child.send_signal(signal.SIGINT)
        return child.communicate()[1]


@contextmanager
def events(net: Campus, traffic: Traffic, folder: Path) -> Iterator[list[Path]]:
    """Write `conntrack -E -o timestamp` of each router during the block."""
    files = [folder / f"events-{short}.txt" for short in ROUTERS]
    running = []
    try:
        for short, file in zip(ROUTERS, files, strict=True):
            words = [
                "ip",
                "netns",
                "exec",
                net.name(short),
                *["conntrack", "-E", "-o", "timestamp"],
            ]
            with file.open("wb") as out:
                running.append(subprocess.Popen(words, stdout=out, stderr=subprocess.DEVNULL))
        until = time.monotonic() + 20
        while not all(file.stat().st_size for file in files):  # until each shows a new flow
            assert time.monotonic() < until
            traffic.mark(b"probe")
            time.sleep(0.02)
        yield files
    finally:
        for child in running:
            child.terminate()
            child.wait()


def record(folder: Path) -> Recorded:
    """Record everything that is sent over a campus built for it."""
    aside = folder / "aside"
    aside.mkdir()
    with campus() as net, user_tunnels(net):
        traffic = Traffic(net)
        recorded = Recorded(folder, traffic.log)
        places = [
            (net.name(short), device, SHORT_SLOTS)
            for short, devices in PLACES.items()
            for device in devices
        ]
        with servers(traffic), events(net, traffic, aside) as logs:
            extras = Captures(net, aside)
            try:
                with tcpdumps(folder, places, MARK):
                    everything(traffic, extras)
                    traffic.mark(MARK)
            finally:
                extras.close()
            for form, commands in DUMPS.items():
                if form == "proc" and not PROC.exists():
                    continue
                for short in ROUTERS:
                    for number, command in enumerate(commands):
                        file = aside / f"{form}-{short}-{number}.txt"
                        file.write_text(run(f"ip netns exec {net.name(short)} {command}"))
                        recorded.dumps[form].append(file)
        recorded.dumps["events"] = logs
    recorded.frames = _read(folder)
    recorded.named.mkdir()
    points = [
        f'[[point]]\nfile = "{device}.pcap"\nhost = "campus"\nnetns = "{short}"\n'
        f'device = "{device}"\n'
        for short, devices in PLACES.items()
        for device in devices
    ]
    (recorded.named / "points.toml").write_text("\n".join(points))
    for device in DEVICES:
        (recorded.named / f"{device}.pcap").symlink_to(folder / f"{device}.pcap")
    return recorded


def _read(folder: Path) -> dict[str, list[dict[str, str]]]:
    files = [folder / f"{device}.pcap" for device in DEVICES]
    whole = folder / "aside" / "all.pcapng"
    run(f"mergecap -a -I none -w {whole} {' '.join(map(str, files))}")
    options = "-o ip.defragment:FALSE -o ipv6.defragment:FALSE -o tcp.desegment_tcp_streams:FALSE"
    fields = " ".join(f"-e {name}" for name in FIELDS)
    frames: dict[str, list[dict[str, str]]] = {device: [] for device in DEVICES}
    for line in run(f"tshark -n -r {whole} {options} -T fields {fields}").splitlines():
        row = dict(zip(FIELDS, line.split("\t"), strict=True))
        frames[DEVICES[int(row["frame.interface_id"])]].append(row)
    return frames
