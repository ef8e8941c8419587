"""ICMPv6 errors about packets with extension headers, and with such headers of their own, on both
engines; tshark says what they quote.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py).
"""

import json
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from follower import Follower, Journey, stop_together, together

from tests.kernel.routed import Routed, routed
from tests.kernel.wire import tcpdumps
from tracer.core.address import decode_ip
from tracer.sources.live.syscalls import network_namespace
from tracer.sources.read import read

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
CLIENT, SERVER, ROUTER = "fd07:1::2", "fd07:2::2", "fd07:1::1"
#: An option of nothing but padding, in a header of eight bytes (RFC 8200, 4.2).
PADDING = bytes((0, 0, 1, 4, 0, 0, 0, 0))
HOP_BY_HOP, DESTINATION = socket.IPV6_HOPOPTS, socket.IPV6_DSTOPTS
#: Source ports of the client's datagrams: what is sent to `CLOSED`, and how.
REFUSED, EXPIRED, FRAGMENTED, ANSWERED, PLAIN = 41_001, 41_002, 41_003, 41_004, 41_005
CLOSED = 9
RECVERR = 25  # IPV6_RECVERR (linux/in6.h): errors of every kind are told
#: What each follower keeps: what the programs read of a quote, or its headers to be decoded.
KEPT = {"core": "core.parquet", "bcc": "bcc.pcapng"}
MARK = b"the mark that ends it"
TSHARK = ("ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport")


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("quo") as built:
        built.ping("fd07:2::2", "-c1 -w10")
        yield built


@pytest.fixture(scope="module")
def folder(
    net: Routed, tmp_path_factory: pytest.TempPathFactory, require_kernel: Callable[..., None]
) -> Path:
    """Everything is done once, before the eyes of both engines and of tcpdump."""
    require_kernel(shutil.which("tshark") is not None, "tshark is not installed")
    folder = tmp_path_factory.mktemp("quoted")
    followers = together(
        Follower(folder, name, "--engine", name, "--host", CLIENT, "--write", str(folder / file))
        for name, file in KEPT.items()
    )
    try:
        with tcpdumps(folder, [(net.client, "c0", "")], MARK):
            _datagrams(net)
            _error_with_options(net)
            send(net.client, PLAIN, MARK)
        for follower in followers:
            follower.wait(lambda j: j["hops"][0]["sport"] == PLAIN, "the last datagram")
    finally:
        stop_together(followers)
    return folder


def _datagrams(net: Routed) -> None:
    both = (HOP_BY_HOP, DESTINATION)
    send(net.client, REFUSED, b"refused", both)
    send(net.client, EXPIRED, b"expired", both, hops=1)
    send(net.client, FRAGMENTED, bytes(range(250)) * 12, both, hops=1)


def send(
    space: str, sport: int, data: bytes, options: tuple[int, ...] = (), hops: int = 64
) -> None:
    """Send a datagram from a port to a closed one, and wait for the error that answers it."""
    with network_namespace(f"/run/netns/{space}"):
        end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with end:
        end.settimeout(5)
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        end.setsockopt(socket.IPPROTO_IPV6, RECVERR, 1)
        for option in options:
            end.setsockopt(socket.IPPROTO_IPV6, option, PADDING)
        end.bind((CLIENT, sport))
        end.connect((SERVER, CLOSED))
        end.send(data)
        deadline = time.monotonic() + 5
        while end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            assert time.monotonic() < deadline, f"no error about {sport}"
            time.sleep(0.01)


def _error_with_options(net: Routed) -> None:
    # The server says that a datagram was refused, in a packet with hop-by-hop options.
    with network_namespace(f"/run/netns/{net.client}"):
        end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with network_namespace(f"/run/netns/{net.server}"):
        taker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    with end, taker, raw:
        taker.bind((SERVER, CLOSED))
        taker.settimeout(5)
        end.bind((CLIENT, ANSWERED))
        end.connect((SERVER, CLOSED))
        end.setsockopt(socket.IPPROTO_IPV6, RECVERR, 1)
        end.send(b"answered")
        taker.recv(99)
        raw.setsockopt(socket.IPPROTO_IPV6, HOP_BY_HOP, PADDING)
        raw.sendto(struct.pack("!BBHI", 1, 4, 0, 0) + _quote(b"answered"), (CLIENT, 0))
        deadline = time.monotonic() + 5
        while end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            assert time.monotonic() < deadline, "the error did not arrive"
            time.sleep(0.01)


def _quote(data: bytes) -> bytes:
    ends = [socket.inet_pton(socket.AF_INET6, address) for address in (CLIENT, SERVER)]
    header = struct.pack("!IHBB", 6 << 28, 8 + len(data), socket.IPPROTO_UDP, 63)
    return header + b"".join(ends) + struct.pack("!HHHH", ANSWERED, CLOSED, 8 + len(data), 0) + data


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def errors_about(journeys: list[Journey], sport: int) -> tuple[Journey, list[Journey]]:
    """The journey from a port, and the errors that quote it."""
    asked = [j for j in journeys if j["proto"] == "udp" and j["hops"][0]["sport"] == sport]
    errors = [j for j in journeys if j["quotes"] == asked[0]["journey"]]
    return asked[0], errors


@pytest.mark.parametrize(
    ("sport", "said"),
    [
        (REFUSED, f"port unreachable, said {SERVER}"),
        (EXPIRED, f"hop limit exceeded in transit, said {ROUTER}"),
        (FRAGMENTED, f"hop limit exceeded in transit, said {ROUTER}"),
        (ANSWERED, f"port unreachable, said {SERVER}"),
    ],
)
def test_an_error_is_joined_to_what_it_quotes(
    folder: Path, engine: str, sport: int, said: str
) -> None:
    asked, errors = errors_about(Follower(folder, engine).journeys, sport)
    assert said.lower() in (asked["reason"] or "").lower(), asked
    assert [(e["kind"], e["outcome"]) for e in errors] == [("icmp-error", "delivered")]


def test_each_fragment_has_its_own_error(folder: Path, engine: str) -> None:
    journeys = Follower(folder, engine).journeys
    fragments = {j["journey"] for j in journeys if j["kind"] == "fragment"}
    quoted = [j["quotes"] for j in journeys if j["quotes"] in fragments]
    assert sorted(quoted) == sorted(fragments)
    assert len(fragments) == 2


@pytest.mark.parametrize("file", ["c0.pcap", *KEPT.values()])
def test_quotes_are_what_tshark_reads(folder: Path, file: str) -> None:
    wanted = quotes_by_tshark(folder / "c0.pcap")
    ports = {sport for _, _, sport, _ in wanted}
    assert ports == {REFUSED, EXPIRED, FRAGMENTED, ANSWERED, PLAIN, None}
    assert quotes_by_tracer(folder / file) == wanted


Quote = tuple[str | None, str | None, int | None, int | None]


def quotes_by_tshark(file: Path) -> set[Quote]:
    """The addresses and ports in each ICMPv6 error; later fragments have none."""
    fields = [part for name in TSHARK for part in ("-e", name)]
    words = ["tshark", "-r", str(file), "-Y", "icmpv6.type<5", "-T", "json", *fields]
    words += ["-o", "ipv6.defragment:false"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = set()
    for packet in json.loads(told):
        layers = packet["_source"]["layers"]
        sport, dport = (int(layers[name][-1]) if name in layers else None for name in TSHARK[2:])
        found.add((layers["ipv6.src"][-1], layers["ipv6.dst"][-1], sport, dport))
    return found


def quotes_by_tracer(file: Path) -> set[Quote]:
    found = set()
    for quoted in read([str(file)]).batch.sections["quoted"]:
        src, dst = (
            decode_ip(int(quoted[f"inner_{end}_hi"]), int(quoted[f"inner_{end}_lo"]))
            for end in ("src", "dst")
        )
        ports = [int(quoted[name]) for name in ("inner_sport", "inner_dport")]
        sport, dport = (port if port >= 0 else None for port in ports)
        found.add((src, dst, sport, dport))
    return found
