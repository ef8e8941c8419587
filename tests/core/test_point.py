"""Observation points: names, clocks, directions."""

from tracer.core.point import Direction, Point


def test_a_clock_belongs_to_a_host_unless_named() -> None:
    assert Point("compute03", device="eth0").clock_name == "compute03"
    assert Point("compute03", clock="vm").clock_name == "vm"
    assert Point(device="eth0").clock_name == Point(device="eth1").clock_name


def test_the_name_is_the_most_telling_part() -> None:
    assert Point(device="eth0", hook="PREROUTING", capture="a.pcap").name == "eth0"
    assert Point(hook="PREROUTING", capture="a.pcap").name == "PREROUTING"
    assert Point(capture="a.pcap").name == "a.pcap"
    assert Point().name == "?"


def test_an_unknown_direction_has_no_word() -> None:
    assert [d.label for d in Direction] == [None, "ingress", "egress"]


def test_towards_keeps_the_rest() -> None:
    point = Point("h", "ns", "eth0").towards(Direction.EGRESS)
    assert point == Point("h", "ns", "eth0", Direction.EGRESS)
