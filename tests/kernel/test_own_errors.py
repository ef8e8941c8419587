"""ICMP errors that a router itself sends and that its own NAT translates, live, on both engines.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py). nft in the router sends what is for
the service to the server (DNAT); IPv4 that leaves by r1 gets a source of the router's (SNAT).
conntrack, Wireshark and what the client's ping is told judge.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from follower import Follower, Journey, own, pinged, stop_together, together, wait_for_ping

from tests.kernel.routed import Routed, routed, run

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
#: One engine is asked for addresses in the quotes before NAT, the other for those after it.
HOSTS = {"core": ("10.7.2.0/24", "fd07:2::/64"), "bcc": ("10.7.96.0/24", "fd07:96::/64",
         "10.7.1.2", "fd07:1::2")}  # fmt: skip
KEPT = {"core": "core.pcapng", "bcc": "bcc.parquet"}
SERVER, SERVICE = ("10.7.2.2", "fd07:2::2"), ("10.7.96.1", "fd07:96::1")
CLIENT, ROUTER = ("10.7.1.2", "fd07:1::2"), ("10.7.1.1", "fd07:1::1")
OUTSIDE, NOBODY = "10.7.2.1", "10.7.2.77"
RULES = """
table ip own {
  chain pre {
    type nat hook prerouting priority -100
    ip daddr 10.7.96.1 dnat to 10.7.2.2
  }
}
table ip6 own {
  chain pre {
    type nat hook prerouting priority -100
    ip6 daddr fd07:96::1 dnat to fd07:2::2
  }
}
"""


@dataclass(frozen=True)
class Asked:
    """A ping, by its id, that the router answers with an error; who said so, by ping."""

    number: int
    family: int  # 0: IPv4, 1: IPv6
    dst: str
    told: str


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("oer") as built:
        inside = ["ip", "netns", "exec", built.router]
        subprocess.run([*inside, "nft", "-f-"], input=RULES, text=True, check=True)
        built.ping()  # neighbours are known from here on
        built.ping("fd07:2::2", "-c1 -w10")
        yield built


def ask(net: Routed, number: int, target: str, options: str) -> Asked:
    words = f"ip netns exec {net.client} ping -n -c1 -W9 -e {number} {options} {target}".split()
    said = subprocess.run(words, check=False, capture_output=True, text=True).stdout
    (told,) = re.findall(r"^From (\S+?):? icmp_seq=1", said, re.MULTILINE)
    return Asked(number, ":" in target, target, told)


@pytest.fixture(scope="module")
def recorded(
    net: Routed, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Asked], str]:
    """Everything is asked once before both engines; what was asked, and conntrack's table."""
    folder = tmp_path_factory.mktemp("oer")
    followers = together(
        Follower(folder, name, "--engine", name, "--write", str(folder / KEPT[name]),
                 *(word for host in HOSTS[name] for word in ("--host", host)))
        for name in ENGINES
    )  # fmt: skip
    try:
        asked = [ask(net, 34_000 + i, to, "-t1") for i, to in enumerate(SERVICE)]
        asked += [ask(net, 34_002, SERVER[0], "-t1"), ask(net, 34_003, NOBODY, "")]
        table = run(f"ip netns exec {net.router} conntrack -L 2>/dev/null")
        net.ping(options="-c1 -e 34009")
        wait_for_ping(followers, 34_009)
    finally:
        stop_together(followers)
    return folder, asked, table


@pytest.fixture(params=ENGINES)
def journeys(
    request: pytest.FixtureRequest, net: Routed, recorded: tuple[Path, list[Asked], str]
) -> list[Journey]:
    return own(recorded[0], request.param, net.names)


def error_about(journeys: list[Journey], asked: Asked) -> Journey:
    (request,) = (j for j in journeys if pinged(j, asked.number))
    (error,) = (j for j in journeys if j["quotes"] == request["journey"])
    assert error["outcome"] == "delivered"
    return error


def ends(hop: dict[str, Any]) -> tuple[str, str, str | None, str | None]:
    return hop["hook"], hop["src"], hop["dst"], hop["cause"]


def test_an_error_about_what_a_dnat_sent_on_begins_before_it_is_translated_back(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, list[Asked], str]
) -> None:
    for asked in recorded[1][:2]:
        assert asked.told == asked.dst  # so the kernel makes the error one of the service
        error = error_about(journeys, asked)
        router, client = ROUTER[asked.family], CLIENT[asked.family]
        before, after, *device = error["hops"]
        assert ends(before) == ("postrouting-before-nat", router, client, None)
        assert ends(after) == ("postrouting", asked.dst, client, "un-dnat")
        assert {before["netns"], after["netns"]} == {net.router}
        assert after["join"]["evidence"] == "skb"
        assert after["delta_ns"] > 0
        places = [(hop["netns"], hop["device"], hop["src"]) for hop in device]
        assert places == [(net.router, "r0", asked.dst), (net.client, "c0", asked.dst)]


def test_an_error_about_what_an_snat_sent_on_begins_before_it_is_translated_back(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, list[Asked], str]
) -> None:
    asked = recorded[1][3]
    assert asked.told == OUTSIDE
    entry = next(line for line in recorded[2].splitlines() if f"id={asked.number}" in line)
    # It speaks of the packet as conntrack has it beyond, and is for who sent that one: the router.
    beyond = re.findall(r"src=(\S+) dst=(\S+)", entry)[1]
    assert beyond == (NOBODY, OUTSIDE)
    before, after, *device = error_about(journeys, asked)["hops"]
    assert ends(before) == ("output-before-nat", OUTSIDE, OUTSIDE, None)
    assert ends(after) == ("output", OUTSIDE, CLIENT[0], "un-snat")
    assert [(hop["netns"], hop["device"]) for hop in device] == [
        (net.router, "r0"), (net.client, "c0"),
    ]  # fmt: skip


def test_an_error_that_nothing_translates_begins_at_its_device(
    net: Routed, journeys: list[Journey], recorded: tuple[Path, list[Asked], str]
) -> None:
    asked = recorded[1][2]
    assert asked.told == ROUTER[0]
    hops = error_about(journeys, asked)["hops"]
    assert [(hop["netns"], hop["device"]) for hop in hops] == [
        (net.router, "r0"), (net.client, "c0"),
    ]  # fmt: skip


def test_wireshark_reads_the_errors_before_nat(
    recorded: tuple[Path, list[Asked], str],
) -> None:
    words = ["tshark", "-r", str(recorded[0] / KEPT["core"]), "-Tfields"]
    words += ["-o", "ip.check_checksum:TRUE", "-Y", "icmp.type in {3,11} || icmpv6.type in {1,3}"]
    for field in ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "icmp.checksum.status",
                  "icmpv6.checksum.status", "ip.checksum.status"):  # fmt: skip
        words += ["-e", field]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in said.splitlines()]
    assert not [row for row in rows if "0" in ",".join(row[4:]).split(",")]  # a sum that is wrong
    seen = {tuple(row[:2] if row[0] else row[2:4]) for row in rows}
    for family in (0, 1):
        # Who sent it and to whom, of the error and in its quote: before NAT, and after it.
        client, server, service = CLIENT[family], SERVER[family], SERVICE[family]
        assert (f"{ROUTER[family]},{client}", f"{client},{server}") in seen
        assert (f"{service},{client}", f"{client},{service}") in seen
    assert (f"{OUTSIDE},{OUTSIDE}", f"{OUTSIDE},{NOBODY}") in seen
    assert (f"{OUTSIDE},{CLIENT[0]}", f"{CLIENT[0]},{NOBODY}") in seen


def test_both_engines_show_the_same(net: Routed, recorded: tuple[Path, list[Asked], str]) -> None:
    core, bcc = (
        [[(hop["netns"], hop["device"], *ends(hop)) for hop in error_about(found, asked)["hops"]]
         for asked in recorded[1]]
        for found in (own(recorded[0], name, net.names) for name in ENGINES)
    )  # fmt: skip
    assert core == bcc
