"""Roles told from names, as Neutron makes them: (prefix + uuid)[:14]."""

import pytest
from made import NETWORK, ROUTER

from tracer.core.address import encode_mac
from tracer.core.point import Point
from tracer.report.roles import point_label, role_of, short_label, short_netns

PORT = "1f6b0aa3-3d2c-4f8e-9d9b-0a1b2c3d4e5f"


@pytest.mark.parametrize("prefix", ["qr-", "qg-", "sg-", "fg-", "ha-", "rfp-", "fpr-"])
def test_agent_devices_have_the_role_of_their_prefix(prefix: str) -> None:
    assert role_of(Point(device=(prefix + PORT)[:14])) == prefix.rstrip("-")


@pytest.mark.parametrize("prefix", ["tap", "qvb", "qvo", "qbr"])
def test_port_devices_have_the_role_of_their_prefix(prefix: str) -> None:
    assert role_of(Point(device=(prefix + PORT)[:14])) == prefix


@pytest.mark.parametrize(
    ("point", "role"),
    [
        (Point(device="enp175s0f1"), "nic"),
        (Point(device="enp4s0.1299"), "nic"),
        (Point(device="bond0"), "nic"),
        (Point("vm", None, "ens3"), "vm"),
        (Point("compute03", "vm-east", "ens3"), "vm"),
        (Point("vm", "sdata", "enp4s0"), "nic"),
        (Point(device="ens3", mac=encode_mac("fa:16:3e:a4:58:8d")), "vm"),
        (Point(device="ens3", mac=encode_mac("00:1e:08:0e:bc:45")), "nic"),
        (Point("vmware-host1", None, "eth0"), "nic"),
        (Point(netns=f"qdhcp-{NETWORK}", device=("tap" + PORT)[:14]), "dhcp"),
        (Point(netns=f"ovnmeta-{NETWORK}", device="tape7cb8424-51"), "metadata"),
        (Point(device="br-int"), "br-int"),
        (Point(device="vxlan_sys_4789"), "tunnel"),
        (Point(device="genev_sys_6081"), "tunnel"),
        (Point(device="int-br-ex"), "patch"),
        (Point(device="o-hm0"), "octavia"),
        (Point(device="lo"), "lo"),
        (Point(device="qr-garden"), None),
        (Point(device="te1"), None),
        (Point(hook="PREROUTING"), None),
    ],
)
def test_other_names(point: Point, role: str | None) -> None:
    assert role_of(point) == role


def test_a_neutron_namespace_is_shortened_to_eight_digits() -> None:
    assert short_netns(f"snat-{ROUTER}") == "snat-b6a86b9f"
    assert short_netns("blue") == "blue"


def test_a_point_is_labelled_by_what_is_known_of_it() -> None:
    point = Point("compute03", f"fip-{NETWORK}", "fg-2417e6fb-ee")
    assert point_label(point) == f"compute03/fip-{NETWORK}/fg-2417e6fb-ee"
    assert short_label(point) == "compute03/fip-e7cb8424/fg-2417e6fb-ee"
    assert point_label(Point("vm", "vm", "ens3")) == "vm/ens3"
    assert point_label(Point("h", "ns", hook="PREROUTING")) == "h/ns/PREROUTING"
    assert point_label(Point(capture="a.pcap")) == "a.pcap"
