"""TCP through the kernel's SYN proxy, with and without NAT; oracles are tshark and the payloads.

client c0 ── r0 router r1 ── s0 server: nft's `synproxy` answers the client's SYN, opens a
connection to the server with a SYN of its own, and shifts the server's numbers (and its time
stamps, which hold a cookie) from then on. Each segment has bytes of its own. What the proxy sends
itself has the TTL 64 where it leaves, what it forwards has 63: nothing else tells the two apart
where it opens the client's window and the server acknowledges as much.
"""

import csv
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from told import Frame, by_frame, hops, joined

from tests.kernel.routed import Routed, routed, run
from tests.kernel.wire import tcpdumps
from tracer.core.enums import Evidence
from tracer.core.journeys import JourneySet
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
PORT, CONNECTIONS, ROUNDS = 9080, 6, 4
NEAR, FAR = ("c0", "r0"), ("r1", "s0")
DEVICES = (*NEAR, *FAR)
MARK = b"\0\0\0\0the-recording-ends"
SERVERS = {4: ("10.7.2.2", socket.AF_INET), 6: ("fd07:2::2", socket.AF_INET6)}
FIELDS = ("frame.number", "ip.id", "tcp.flags", "tcp.len", "tcp.payload", "tcp.srcport",
          "tcp.seq_raw", "tcp.ack_raw", "ip.ttl", "ipv6.hlim")  # fmt: skip
RULES = """
table inet proxied {{
  chain first {{ type filter hook prerouting priority raw;
    iifname r0 tcp dport {port} tcp flags syn / syn,ack notrack
  }}
  chain c {{ type filter hook forward priority filter;
    tcp dport {port} ct state invalid,untracked synproxy mss 1460 wscale 7 {options}
    ct state invalid drop
  }}
}}"""


@dataclass(frozen=True)
class Recorded:
    """What tracer says of the captures, and tshark of each frame: the fields above by name."""

    found: JourneySet
    frames: dict[Frame, dict[str, str]]
    translated: bool

    def chosen(self, wanted: Callable[[dict[str, str]], bool]) -> list[Frame]:
        return [frame for frame, row in self.frames.items() if wanted(row)]


VARIANTS = [(4, False, "timestamp sack-perm"), (4, True, "timestamp sack-perm"), (4, True, ""),
            (6, False, "timestamp sack-perm")]  # fmt: skip


@pytest.fixture(scope="module", params=VARIANTS, ids=["v4", "nat", "nat-no-stamps", "v6"])
def recorded(
    request: pytest.FixtureRequest,
    require_kernel: Callable[[bool, str], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Recorded:
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    missing = [tool for tool in ("nft", "tcpdump", "tshark") if shutil.which(tool) is None]
    require_kernel(not missing, f"these are not installed: {', '.join(missing)}")
    version, translated, options = request.param
    folder = tmp_path_factory.mktemp("proxied")
    with routed("syn") as net:
        if not translated:
            run(f"ip netns exec {net.router} iptables -t nat -F POSTROUTING")
        rules = RULES.format(port=PORT, options=options)
        done = subprocess.run(
            f"ip netns exec {net.router} nft -f -".split(), input=rules, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        require_kernel(done.returncode == 0, f"nft has no synproxy here: {done.stderr}")
        run(f"ip netns exec {net.router} sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0")
        places = zip((net.client, net.router, net.router, net.server), DEVICES, strict=True)
        with tcpdumps(folder, [(space, device, "") for space, device in places], MARK):
            talk(net, version)
    frames = {
        (device, int(row["frame.number"])): row
        for device in DEVICES
        for row in shown(folder / f"{device}.pcap")
    }
    found = joined(folder / f"{device}.pcap" for device in DEVICES)
    return Recorded(found, frames, translated)


def talk(net: Routed, version: int) -> None:
    """Questions and answers with bytes of their own, and at last the mark."""
    address, family = SERVERS[version]
    with network_namespace(f"/run/netns/{net.server}"):
        server = socket.create_server((address, PORT), family=family)
    with server:
        for number in range(CONNECTIONS):
            with network_namespace(f"/run/netns/{net.client}"):
                client = socket.socket(family)
            with client:
                client.settimeout(10)
                client.connect((address, PORT))
                server.settimeout(10)
                accepted, _ = server.accept()
                with accepted:
                    for part in range(ROUNDS):
                        exchange(client, accepted, f"{number} {part}".encode())
    with network_namespace(f"/run/netns/{net.client}"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.sendto(MARK, ("10.7.2.2", 9))


def exchange(client: socket.socket, server: socket.socket, name: bytes) -> None:
    """Send bytes each way that no other packet has."""
    for sender, taker, way in ((client, server, b"up "), (server, client, b"down ")):
        sender.sendall(way + name + b"." * 300)
        assert taker.recv(1000).startswith(way)
        time.sleep(0.002)


def shown(path: Path) -> list[dict[str, str]]:
    """What tshark reads of the TCP packets of a file."""
    command = ["tshark", "-n", "-r", str(path), "-Y", f"tcp.port == {PORT}", "-T", "fields",
               *(word for name in FIELDS for word in ("-e", name))]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = csv.reader(done.stdout.splitlines(), "excel-tab")
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


def is_own(frame: Frame, row: dict[str, str]) -> bool:
    """Whether the proxy made this packet: it came from the router, and nobody forwarded it."""
    from_server = row["tcp.srcport"] == str(PORT)
    return from_server == (frame[0] in NEAR) and (row["ip.ttl"] or row["ipv6.hlim"]) == "64"


def test_the_server_s_numbers_are_others_in_front_of_the_proxy(recorded: Recorded) -> None:
    # So that the rest tests anything.
    numbers: dict[str, set[str]] = {}
    for row in recorded.frames.values():
        if row["tcp.payload"].startswith(b"down ".hex()):
            numbers.setdefault(row["tcp.payload"], set()).add(row["tcp.seq_raw"])
    assert len(numbers) == CONNECTIONS * ROUNDS
    assert {len(each) for each in numbers.values()} == {2}


def test_segments_are_one_packet_at_all_four_devices(recorded: Recorded) -> None:
    by_payload: dict[str, set[Frame]] = {}
    for frame in recorded.chosen(lambda row: row["tcp.len"] != "0"):
        by_payload.setdefault(recorded.frames[frame]["tcp.payload"], set()).add(frame)
    assert len(by_payload) == 2 * CONNECTIONS * ROUNDS
    journey = by_frame(recorded.found)
    for frames in by_payload.values():
        assert {device for device, _ in frames} == set(DEVICES)
        assert set(hops(recorded.found, journey[min(frames)])) == frames


def test_the_step_through_the_proxy_says_that_numbers_are_shifted(recorded: Recorded) -> None:
    journey = by_frame(recorded.found)
    chosen = recorded.chosen(lambda row: row["tcp.len"] != "0")
    of = np.isin(recorded.found.hops["journey"], [journey[frame] for frame in chosen])
    evidence = recorded.found.hops["evidence"][of].reshape(-1, 4)
    expected = [Evidence.NONE, Evidence.FINGERPRINT, Evidence.RENUMBERED, Evidence.FINGERPRINT]
    assert (evidence == expected).all()


def test_what_the_proxy_sends_itself_is_of_one_side_only(recorded: Recorded) -> None:
    journey = by_frame(recorded.found)
    own = [frame for frame, row in recorded.frames.items() if is_own(frame, row)]
    # Of each connection a SYN-ACK and an ACK near, a SYN and an ACK far, each at two devices.
    assert len(own) >= 8 * CONNECTIONS
    for frame in own:
        side = NEAR if frame[0] in NEAR else FAR
        assert {device for device, _ in hops(recorded.found, journey[frame])} == set(side)


def test_what_a_proxy_takes_goes_no_further(recorded: Recorded) -> None:
    journey = by_frame(recorded.found)
    asked = recorded.chosen(lambda row: int(row["tcp.flags"], 16) & 0x12 == 2)
    assert len(asked) >= 4 * CONNECTIONS
    for frame in asked:
        side = NEAR if frame[0] in NEAR else FAR
        assert {device for device, _ in hops(recorded.found, journey[frame])} == set(side)


def test_packets_of_one_journey_are_one_by_what_else_they_have(recorded: Recorded) -> None:
    # Bare acknowledgements too: whatever is joined has one IP id, flags and bytes.
    for number in range(len(recorded.found.journeys)):
        frames = [frame for frame in hops(recorded.found, number) if frame in recorded.frames]
        rows = [recorded.frames[frame] for frame in frames]
        assert len({(row["ip.id"], row["tcp.flags"], row["tcp.payload"]) for row in rows}) <= 1
        devices = [device for device, _ in frames]
        if {"r0", "r1"} <= set(devices):  # on one side equal ones may be taken for copies
            assert len(set(devices)) == len(devices)


def test_what_has_an_id_and_is_forwarded_is_one_packet(recorded: Recorded) -> None:
    # Each packet that an end sends once the connection is open has an id of its own.
    named: dict[tuple[str, ...], set[Frame]] = {}
    for frame, row in recorded.frames.items():
        if row["ip.id"] not in ("", "0x0000") and not int(row["tcp.flags"], 16) & 2:
            way = str(row["tcp.srcport"] == str(PORT))
            named.setdefault((row["ip.id"], way, row["tcp.flags"], row["tcp.payload"]), set()).add(
                frame
            )
    whole = [frames for frames in named.values() if len(frames) == 4]
    journey = by_frame(recorded.found)
    for frames in whole:
        if {device for device, _ in frames} == set(DEVICES):
            assert set(hops(recorded.found, journey[min(frames)])) == frames
    if any(row["ip.id"] for row in recorded.frames.values()):
        assert len(whole) > 2 * CONNECTIONS * ROUNDS
