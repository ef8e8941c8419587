"""The ground truth agrees with itself, with the topology's files, and with the walk-through."""

import csv
import itertools
import re
import tomllib
from ipaddress import ip_address
from pathlib import Path

import pytest

from tracer.core.errors import LabError
from tracer.lab import TrueHop, case, cases, namespaces, points
from tracer.lab.building import TOPOLOGY

PATHS = [(name, kind) for name in cases() for kind in ("request", "reply")]


def files(pattern: str) -> str:
    return "\n".join(path.read_text() for path in sorted(TOPOLOGY.glob(pattern)))


@pytest.mark.parametrize(("name", "kind"), PATHS)
def test_ttl_falls_by_one_where_a_namespace_forwards(name: str, kind: str) -> None:
    hops = case(name).path(kind)
    assert hops[0].ttl == 64
    for before, after in itertools.pairwise(hops):
        forwards = before.direction == "ingress" and after.direction == "egress"
        routed = forwards and after.src_mac != before.src_mac and before.point.netns != "compute03"
        assert before.ttl - after.ttl == (1 if routed else 0), after.name


@pytest.mark.parametrize(("name", "kind"), PATHS)
def test_addresses_change_only_inside_a_namespace(name: str, kind: str) -> None:
    for before, after in itertools.pairwise(case(name).path(kind)):
        if before.point.netns != after.point.netns:
            assert (before.src, before.dst) == (after.src, after.dst), after.name


@pytest.mark.parametrize("name", cases())
def test_reply_comes_back_to_who_asked(name: str) -> None:
    one = case(name)
    assert one.request[0].point == one.reply[-1].point
    assert one.request[-1].point == one.reply[0].point
    assert (one.request[0].src, one.address) == (one.reply[-1].dst, one.reply[-1].src)


def test_points_come_once_in_path_order() -> None:
    devices = [point.device for point in points("fip-outbound")]
    assert devices[:4] == ["ens3", "tap2d90b7c4-8e", "qr-1f6b0aa3-3d", "rfp-b6a86b9f-6"]
    named = tomllib.loads((TOPOLOGY.parent / "truth.toml").read_text())["point"].values()
    assert len(points()) == len(set(points()))
    assert {tuple(point) for point in points()} == {
        (point["host"], point["netns"], point["device"]) for point in named
    }


def test_points_are_devices_of_the_topology() -> None:
    made = set(re.findall(r"(?:add|name) (\S+) netns (\S+)", files("links.batch")))
    made |= {("vxlan_sys_4789", "compute03"), ("vxlan_sys_4789", "network01")}
    assert {(point.device, point.netns) for point in points()} <= made
    assert {netns for _, netns in made} == set(namespaces())


def test_macs_are_those_of_the_topology() -> None:
    text = files("links.batch") + files("*/*.batch") + files("*/nft.rules")
    macs = {mac for n, k in PATHS for hop in case(n).path(k) for mac in (hop.src_mac, hop.dst_mac)}
    assert [mac for mac in macs if mac not in text] == []


def test_rule_and_table_numbers_are_addresses() -> None:
    rules = re.findall(
        r"rule add priority (\d+) (?:from|iif) (\S+) lookup (\d+)", files("*/*.batch")
    )
    numbered = {int(table) for priority, _, table in rules if priority == table}
    assert numbered == {
        int(ip_address(a)) for a in ("192.168.0.1", "169.254.74.217", "169.254.118.53")
    }
    floating = [int(priority) for priority, _, table in rules if table == "16"]
    assert all(32768 <= priority < 72768 for priority in floating)
    assert len(floating) == 2


def test_unknown_case_names_the_cases() -> None:
    with pytest.raises(LabError, match="Cases: fip-outbound, fip-inbound"):
        case("fip-sideways")


def walkthrough() -> list[dict[str, str]]:
    text = (Path(__file__).parents[2] / "captures" / "walkthrough" / "truth.csv").read_text()
    return [row for row in csv.DictReader(text.splitlines()) if row["src"] != ""]


def hop_of(row: dict[str, str]) -> TrueHop | None:
    """The true hop where the walk-through's packet was seen; None for a case the lab has not."""
    kind = row["icmp_type"].removeprefix("echo-")
    for name in ("fip-outbound", "fip-inbound"):
        for hop in case(name).path(kind):
            if (hop.point.device, hop.src, hop.dst) == (row["device"], row["src"], row["dst"]):
                return hop
    return None


def test_walkthrough_packets_have_the_true_ttl_and_macs() -> None:
    found = [(row, hop) for row in walkthrough() if (hop := hop_of(row))]
    assert len(found) == 51  # of 54: two packets stay in one subnet, one has no addresses
    for row, hop in found:
        assert int(row["ttl"]) == hop.ttl, row
        assert row["vlan"] in (str(hop.vlan or ""), ""), row
        if row["src_mac"]:
            assert (row["src_mac"], row["dst_mac"]) == (hop.src_mac, hop.dst_mac), row
