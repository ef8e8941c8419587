"""What scripts/record-captures does for captures/lossy-wire: network and captures lose packets.

client c0 ── r0 router r1 ── wire ── s0 server. The router translates both ways and loses datagrams;
the wire loses, swaps and doubles frames. The capture at s0 begins late, the one at r1 stops early,
r0 and r1 have short snaplens. Nothing here reads a capture to say what is true.
"""

import json
import platform
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "kernel")]
from campus_traffic import echo  # noqa: E402 - found by the line above

from tests.kernel.routed import Routed, routed, run  # noqa: E402
from tests.kernel.wire import Dump, Wire, wired  # noqa: E402
from tracer.sources.live.syscalls import network_namespace  # noqa: E402

ASKED, SERVED, TCP_PORT, SERVER = 5300, 9999, 9998, "10.7.2.2"
DEVICES = {"c0": ("client", ""), "r0": ("router", "-s 96"), "r1": ("router", "-s 200"),
           "s0": ("server", "")}  # fmt: skip
WAYS = {"request": ("c0", "r0", "r1", "s0"), "reply": ("s0", "r1", "r0", "c0")}
DATAGRAMS, PINGS, SEGMENTS = 24, 3, 20  # a phase, a phase, in the second one
PHASES = (1, 2, 3)  # before s0 is captured; all four; after r1 was captured
# Numbers that are lost, some of each phase: pings are 1-3, datagrams 4-27, then pings 28-30, TCP
# 31-50, datagrams 51-74, then pings 75-77, datagrams 78-101.
AT_ROUTER, AT_WIRE, ANSWERS = (9, 20, 55, 63, 85), (12, 58, 70, 90), (15, 60, 66, 95)
OF_TCP = (35, 42, 48)
LOSS = """
table inet loss {{
  counter datagrams {{}}
  chain c {{ type filter hook forward priority 0;
    udp dport {port} @th,160,32 {{ {numbers} }} counter name datagrams drop
  }}
}}"""


@dataclass
class Sent:
    """A packet: `lost_after` names the last place that it passed, None where it arrived.

    `again`: TCP sent these bytes before, and the wire lost them.
    """

    number: int
    proto: str
    kind: str
    phase: int
    lost_after: str | None = None
    again: bool = False


@dataclass
class Traffic:
    """The sockets' side of a recording: what was sent, and what the wire lost by its own word."""

    net: Routed
    log: list[Sent] = field(default_factory=list)
    lost: list[tuple[int, str]] = field(default_factory=list)
    phase: int = 1
    last: int = 0

    def next(self) -> int:
        self.last += 1
        return self.last

    def loses(self, frame: bytes) -> bool:
        """Whether the wire loses a frame: once of a number and kind."""
        at = frame.find(b"#tracer:")
        if at < 0 or frame[23] not in (socket.IPPROTO_UDP, socket.IPPROTO_TCP):
            return False
        number, port = int(frame[at + 8 : at + 16]), int.from_bytes(frame[34:36], "big")
        kind = "reply" if port in (SERVED, TCP_PORT) else "request"
        wanted = ANSWERS if kind == "reply" else (*AT_WIRE, *OF_TCP)
        if number not in wanted or (number, kind) in self.lost:
            return False
        self.lost.append((number, kind))
        return True

    def datagrams(self) -> None:
        """Send datagrams at a pace, a flow each, then take the answers of all that are not lost."""
        with ExitStack() as stack:
            waited = []
            for _ in range(DATAGRAMS):
                asking = stack.enter_context(self.open("client", socket.SOCK_DGRAM))
                number = self.next()
                asking.sendto(payload(number), (SERVER, ASKED))
                place = "r0" if number in AT_ROUTER else "r1" if number in AT_WIRE else None
                self.log.append(Sent(number, "udp", "request", self.phase, place))
                if place is None:
                    back = "s0" if number in ANSWERS else None
                    self.log.append(Sent(number, "udp", "reply", self.phase, back))
                    waited += [(asking, number)] if back is None else []
                time.sleep(0.002)  # the pace of the sender, not a wait for anything
            for each, number in waited:
                assert each.recv(2048) == answer_to(payload(number))
            lost = {(n.number, n.kind) for n in self.log if n.lost_after in ("r1", "s0")}
            until = time.monotonic() + 10
            while not lost <= set(self.lost):
                assert time.monotonic() < until, lost - set(self.lost)
                time.sleep(0.01)
            asking.sendto(mark(self.phase), (SERVER, ASKED))
            assert asking.recv(2048) == mark(self.phase)

    def pings(self) -> None:
        """Send echo requests, each after the answer to the one before."""
        with self.open("client", socket.SOCK_RAW, socket.IPPROTO_ICMP) as asking:
            for seq in range(PINGS):
                number = self.next()
                asking.sendto(echo(4, seq, payload(number)), (SERVER, 0))
                while payload(number) not in (got := asking.recv(2048)) or got[20] != 0:
                    pass
                self.log += [Sent(number, "icmp", kind, self.phase) for kind in WAYS]

    def stream(self) -> None:
        """Send numbered segments, each after the answer to the one before."""
        with self.open("client", socket.SOCK_STREAM) as asking:
            asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asking.connect((SERVER, TCP_PORT))
            for _ in range(SEGMENTS):
                number = self.next()
                asking.sendall(payload(number))
                assert asking.recv(2048) == answer_to(payload(number))
                # At once, not with what is sent next, or the server sends again where that is lost.
                asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                if number in OF_TCP:
                    self.log.append(Sent(number, "tcp", "request", self.phase, "r1"))
                again = number in OF_TCP
                self.log.append(Sent(number, "tcp", "request", self.phase, again=again))
                self.log.append(Sent(number, "tcp", "reply", self.phase))

    def open(self, host: str, kind: int, proto: int = 0) -> socket.socket:
        with network_namespace(f"/run/netns/{getattr(self.net, host)}"):
            made = socket.socket(socket.AF_INET, kind, proto)
        made.settimeout(10)
        return made


def payload(number: int) -> bytes:
    """Return what a packet carries; its length tells nothing of its number."""
    return b"#tracer:%08d#" % number + b"." * 40


def answer_to(data: bytes) -> bytes:
    """Return what answers: the number again, in other bytes."""
    return data.replace(b".", b"-")


def mark(phase: int) -> bytes:
    return b"#phase:%d#" % phase


def number_of(data: bytes) -> int | None:
    return int(data[8:16]) if data.startswith(b"#tracer:") else None


@contextmanager
def server(traffic: Traffic) -> Iterator[None]:
    """Answer datagrams, once each, and a stream."""
    with ExitStack() as stack:
        datagrams = stack.enter_context(traffic.open("server", socket.SOCK_DGRAM))
        listening = stack.enter_context(traffic.open("server", socket.SOCK_STREAM))
        datagrams.bind((SERVER, SERVED))
        listening.bind((SERVER, TCP_PORT))
        listening.listen()
        stop, ended = socket.socketpair()
        thread = threading.Thread(target=_serve, args=(datagrams, listening, stop))
        thread.start()
        try:
            yield
        finally:
            ended.close()
            thread.join()
            stop.close()


def _serve(datagrams: socket.socket, listening: socket.socket, stop: socket.socket) -> None:
    seen: set[bytes] = set()
    waited = [stop, datagrams, listening]
    while True:
        ready, _, _ = select.select(waited, [], [])
        if stop in ready:
            return
        for each in ready:
            if each is listening:
                waited.append(listening.accept()[0])
            elif each is datagrams:
                data, peer = datagrams.recvfrom(2048)
                if data not in seen:
                    seen.add(data)
                    datagrams.sendto(answer_to(data), peer)
            elif data := each.recv(2048):
                each.sendall(answer_to(data))
            else:
                each.close()
                waited.remove(each)


def record(folder: Path) -> None:
    """Write the folder anew."""
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with routed("lossy") as net:
            traffic = Traffic(net)
            with wired(net, SERVED, 3, number_of, traffic.loses) as wire, server(traffic):
                _translate_and_lose(net)
                _send(net, traffic, draft)
                _dump_conntrack(net, draft)
                counted = run(f"ip netns exec {net.router} nft list counter inet loss datagrams")
                assert f"packets {len(AT_ROUTER)} " in counted, counted
        assert len(traffic.lost) == len(AT_WIRE) + len(ANSWERS) + len(OF_TCP), traffic.lost
        _write_points(draft)
        _write_truth(draft, traffic, wire)
        (draft / "README.md").write_text(readme(traffic.log, wire))
        draft.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _translate_and_lose(net: Routed) -> None:
    nat = f"-t nat -A PREROUTING -i r0 -p udp --dport {ASKED} -j DNAT --to :{SERVED}"
    run(f"ip netns exec {net.router} iptables {nat}")
    # The last four digits of the number: of UDP's header and payload the bytes from 20 on.
    digits = (f"0x{(b'%04d' % number).hex()}" for number in AT_ROUTER)
    rules = LOSS.format(port=SERVED, numbers=", ".join(digits))
    command = ["ip", "netns", "exec", net.router, "nft", "-f", "-"]
    subprocess.run(command, input=rules, text=True, check=True)


def _send(net: Routed, traffic: Traffic, draft: Path) -> None:
    running: dict[str, Dump] = {}

    def start(*devices: str) -> None:
        for device in devices:
            host, options = DEVICES[device]
            space, file = getattr(net, host), draft / f"{host}-{device}.pcap"
            running[device] = Dump(space, device, file, options)

    def stop(device: str) -> None:
        running[device].wait_for(mark(traffic.phase))
        assert b"\n0 packets dropped by kernel" in running.pop(device).stop()

    try:
        start("c0", "r0", "r1")
        for phase in PHASES:
            traffic.phase = phase
            traffic.pings()
            if phase == 2:
                traffic.stream()
            traffic.datagrams()
            if phase == 1:
                start("s0")
            if phase == 2:
                stop("r1")
        for device in tuple(running):
            stop(device)
    finally:
        for dump in running.values():
            dump.stop()


def _dump_conntrack(net: Routed, draft: Path) -> None:
    dump = run(f"ip netns exec {net.router} conntrack -L -o extended,id")
    (draft / "conntrack").mkdir()
    (draft / "conntrack" / "router.txt").write_text(dump)


def _write_points(draft: Path) -> None:
    out = []
    for device, (host, _) in DEVICES.items():
        out += ["[[point]]", f'file = "{host}-{device}.pcap"', f'host = "lossy-{host}"',
                f'netns = "lossy-{host}"', f'device = "{device}"', 'clock = "lab"', ""]  # fmt: skip
    out += ["[[conntrack]]", 'file = "conntrack/router.txt"', 'host = "lossy-router"',
            'netns = "lossy-router"']  # fmt: skip
    (draft / "points.toml").write_text("\n".join([*out, ""]))


def _write_truth(draft: Path, traffic: Traffic, wire: Wire) -> None:
    packets = [
        {
            **asdict(sent),
            "doubled": sent.kind == "request" and sent.number in wire.doubled,
            "overtaken": sent.kind == "request" and sent.number in wire.overtaken,
        }
        for sent in traffic.log
    ]
    lines = ",\n".join("  " + json.dumps(packet) for packet in packets)
    captured = {device: [p for p in PHASES if is_captured(device, p)] for device in DEVICES}
    head = f'"ways": {json.dumps(WAYS)},\n"captured": {json.dumps(captured)}'
    (draft / "truth.json").write_text(f'{{{head},\n"packets": [\n{lines}\n]}}\n')


def is_captured(device: str, phase: int) -> bool:
    """Whether a device was captured in a phase."""
    return not (device == "s0" and phase == 1) and not (device == "r1" and phase == 3)


def readme(log: list[Sent], wire: Wire) -> str:
    """Return the folder's README: how and when it was made, and what is in it."""
    sent = Counter((packet.proto, packet.kind, packet.lost_after) for packet in log)
    rows = [
        f"| {proto} {kind} | {count} | {f'after `{lost}`' if lost else ''} |"
        for (proto, kind, lost), count in sorted(sent.items(), key=str)
    ]
    swapped, doubled = len(set(wire.overtaken)), len(set(wire.doubled))
    return f"""# lossy-wire: a network that loses packets, and captures that miss some

| | |
|---|---|
| command | `sudo scripts/record-captures lossy-wire` |
| kernel | Linux {platform.release()} |
| date | {datetime.now(UTC):%Y-%m-%d %H:%M} UTC |
| points | 4; points.toml says where each was and gives one clock |

    client c0 ── r0 router r1 ── wire ── s0 server 10.7.2.2

The router translates sources (SNAT at random ports) and UDP port {ASKED} to {SERVED}. Between `r0`
and `r1` a rule drops datagrams by their number, which its counter confirmed. The wire is a program
that loses, swaps and doubles frames, and writes down which.

| capture | snaplen | phases |
|---|---|---|
| client-c0 | whole packets | 1, 2, 3 |
| router-r0 | 96 | 1, 2, 3 |
| router-r1 | 200 | 1, 2: it stops early |
| server-s0 | whole packets | 2, 3: it begins late |

| packets | count | lost |
|---|---|---|
{chr(10).join(rows)}

{swapped} datagrams were overtaken by others on the wire, {doubled} came twice. Each lost TCP
segment was sent again.

- A payload starts with `#tracer:NNNNNNNN#`; an answer has the number of what it answers.
- `truth.json` has a line a packet, from sender, rule and wire: `lost_after` is the last place it
  passed, captured or not; `ways` are the places in order, `captured` the phases in which each was
  captured.
- Not in it: TCP's handshake, acknowledgements and close, ARP, and `#phase:N#`, which ends a phase.
- `conntrack/router.txt` is `conntrack -L -o extended,id` of the router.
"""


if __name__ == "__main__":
    record(Path(sys.argv[1]))
