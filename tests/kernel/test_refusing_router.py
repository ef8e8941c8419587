"""A router that refuses, in real captures: the outcomes against the counters of its rules.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py), with tcpdump at each device.
"""

import json
import subprocess
from contextlib import ExitStack
from typing import Any

import pytest
from follower import tracer, wait_for

from tests.kernel.routed import Routed, routed, run
from tests.kernel.wire import tcpdumps

pytestmark = pytest.mark.kernel
DROPPED, REJECTED, RESET, OPEN, CLOSED, LAST = 6661, 6671, 6681, 7777, 7779, 7780
MARK = b"\0\0\0\0the-recording-ends"
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
_MARK = (
    f"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto({MARK!r}, ('10.7.2.2', {LAST}))"
)
_ASK = (
    "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(9)\n"
    "for n in range({n}): s.sendto(bytes([n]) * 40, ('10.7.2.2', {port})); s.recv(99)"
)


def send(net: Routed, code: str) -> None:
    subprocess.run(["ip", "netns", "exec", net.client, "python3", "-c", code], check=True)


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
        listens = ["ip", "netns", "exec", net.server, "python3", "-c", _ECHO.format(port=OPEN)]
        echo = stack.enter_context(subprocess.Popen(listens))
        stack.callback(echo.terminate)
        wait_for(lambda: f":{OPEN}" in run(f"ip netns exec {net.server} ss -uln"), "the server")
        spaces = (net.client, net.router, net.router, net.server)
        places = list(zip(spaces, ("c0", "r0", "r1", "s0"), ("",) * 4, strict=True))
        with tcpdumps(folder, places, MARK):
            for code, port in ((_ASK, OPEN), (_UDP, DROPPED), (_UDP, REJECTED), (_TCP, RESET),
                               (_UDP, CLOSED), (_ASK, OPEN)):  # fmt: skip
                send(net, code.format(n=ASKED if port == OPEN else SENT, port=port))
            send(net, _MARK)
        counts = {port: counter(net, port) for port in (DROPPED, REJECTED, RESET)}
    lines = subprocess.run(
        tracer("offline", str(folder), "--format", "jsonl"), check=True, capture_output=True
    ).stdout.splitlines()
    return [json.loads(line) for line in lines], counts


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
