"""A router that refuses, in real captures: the outcomes against the counters of its rules.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py), with tcpdump at each device.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from follower import tracer, wait_for
from routed import Routed, routed, run

pytestmark = pytest.mark.kernel
DROPPED, REJECTED, RESET, OPEN, CLOSED = 6661, 6671, 6681, 7777, 7779
SENT, ASKED = 7, 2  # most of what leaves by r0 is then the router's own
_UDP = (
    "import socket; s = socket.socket(type=socket.SOCK_DGRAM)\nfor n in range({n}): "
    "s.sendto(bytes([n]) * 40, ('10.7.2.2', {port}))"
)
_TCP = "import socket\nfor n in range({n}): socket.socket().connect_ex(('10.7.2.2', {port}))"
_ECHO = (
    "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', {port}))\n"
    "while True: s.sendto(*s.recvfrom(99))"
)
_ASK = (
    "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(9)\n"
    "for n in range({n}): s.sendto(bytes([n]) * 40, ('10.7.2.2', {port})); s.recv(99)"
)


@contextmanager
def captured(space: str, device: str, file: Path) -> Iterator[None]:
    words = ["ip", "netns", "exec", space, "tcpdump", "-Z", "root", "-U", "--immediate-mode", "-i",
             device, "-w", str(file)]  # fmt: skip
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "listening on" in line:
                break
        yield
        process.terminate()


def counter(net: Routed, port: int) -> int:
    rules = run(f"ip netns exec {net.router} iptables -vxnL FORWARD")
    (line,) = (line for line in rules.splitlines() if f"dpt:{port}" in line)
    return int(line.split()[0])


@pytest.fixture(scope="module")
def refused(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """The journeys, and how many packets each rule refused."""
    folder = tmp_path_factory.mktemp("refusing")
    with routed("rfs") as net, ExitStack() as stack:
        router = f"ip netns exec {net.router} iptables -A FORWARD"
        run(f"{router} -p udp --dport {DROPPED} -j DROP")
        run(f"{router} -p udp --dport {REJECTED} -j REJECT")
        run(f"{router} -p tcp --dport {RESET} -j REJECT --reject-with tcp-reset")
        for space in (net.router, net.server):
            run(f"ip netns exec {space} sysctl -qw net.ipv4.icmp_ratelimit=0")
        net.ping()
        places = ((net.client, "c0"), (net.router, "r0"), (net.router, "r1"), (net.server, "s0"))
        for space, device in places:
            stack.enter_context(captured(space, device, folder / f"{device}.pcap"))
        listens = ["ip", "netns", "exec", net.server, "python3", "-c", _ECHO.format(port=OPEN)]
        echo = stack.enter_context(subprocess.Popen(listens))
        stack.callback(echo.terminate)
        wait_for(lambda: f":{OPEN}" in run(f"ip netns exec {net.server} ss -uln"), "the server")
        for code, port in ((_ASK, OPEN), (_UDP, DROPPED), (_UDP, REJECTED), (_TCP, RESET),
                           (_UDP, CLOSED), (_ASK, OPEN)):  # fmt: skip
            words = ["ip", "netns", "exec", net.client, "python3", "-c",
                     code.format(n=ASKED if port == OPEN else SENT, port=port)]  # fmt: skip
            subprocess.run(words, check=True)
        counts = {port: counter(net, port) for port in (DROPPED, REJECTED, RESET)}
        net.ping(options="-c1 -e 4242")  # all captures have written what came before it
        wait_for(lambda: all(_has(folder / f"{d}.pcap") for _, d in places), "the last ping")
    lines = subprocess.run(
        tracer("offline", str(folder), "--format", "jsonl"), check=True, capture_output=True
    ).stdout.splitlines()
    return [json.loads(line) for line in lines], counts


def _has(file: Path) -> bool:
    # The reply is the last packet that each device shows.
    words = ["tcpdump", "-nr", str(file), "icmp[icmptype] == icmp-echoreply"]
    return bool(subprocess.run(words, check=False, capture_output=True).stdout)


def to(journeys: list[dict[str, Any]], port: int) -> list[dict[str, Any]]:
    return [j for j in journeys if j["hops"][0]["dport"] == port]


def test_what_a_rule_drops_vanishes_where_it_came_in(refused: Any) -> None:
    journeys, counts = refused
    found = to(journeys, DROPPED)
    assert len(found) == counts[DROPPED] == SENT
    assert {(j["outcome"], j["outcome_at"]) for j in found} == {("vanished", "r0")}


def test_what_a_rule_rejects_is_answered_elsewhere(refused: Any) -> None:
    journeys, counts = refused
    found = to(journeys, REJECTED)
    assert len(found) == counts[REJECTED] == SENT
    assert {(j["outcome"], j["outcome_at"]) for j in found} == {("answered-elsewhere", "r0")}
    assert {j["reason"] for j in found} == {"port unreachable, said 10.7.1.1"}


def test_what_a_rule_resets_is_answered_elsewhere(refused: Any) -> None:
    journeys, counts = refused
    found = to(journeys, RESET)
    assert len(found) == counts[RESET] == SENT
    assert {(j["outcome"], j["outcome_at"]) for j in found} == {("answered-elsewhere", "r0")}
    kinds = {j["journey"]: j["kind"] for j in journeys}
    assert {kinds[j["reply"]] for j in found} == {"tcp-rst"}


def test_an_error_is_translated_back_as_an_answer_is(refused: Any) -> None:
    journeys, _ = refused
    found = to(journeys, CLOSED)
    assert len(found) == SENT
    sent = {j["journey"] for j in found}
    errors = [j for j in journeys if j["quotes"] in sent]
    assert len(errors) == SENT
    for of, cause in ((found, "snat"), (errors, "un-snat")):
        changes = [c for j in of for hop in j["hops"] for c in hop["changes"]]
        assert {c["cause"] for c in changes if c["field"] in ("src", "dst")} == {cause}


def test_what_is_let_through_is_delivered(refused: Any) -> None:
    found = to(refused[0], OPEN)
    assert len(found) == 2 * ASKED
    assert {(j["outcome"], j["outcome_at"]) for j in found} == {("delivered", "s0")}
