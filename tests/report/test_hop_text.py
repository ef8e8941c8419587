"""What a hop's line says."""

from tracer.core.hop import Change, Hop, Join
from tracer.core.observation import Observation
from tracer.report.hop_text import hop_tokens

CERTAIN = Join("fingerprint", 1, 1.0)
MACS = {"src_mac": "02:00:00:00:00:01", "dst_mac": "02:00:00:00:00:02"}


def words(
    *changes: Change, join: Join | None = CERTAIN, parent: int = 1, **seen: object
) -> list[str]:
    observation = Observation(**seen)  # type: ignore[arg-type]
    hop = Hop(2, observation, 0, parent=parent if join else 0, changes=changes, join=join)
    return [token.plain.strip() for token in hop_tokens(hop)]


def test_an_unchanged_packet_has_its_ttl_alone() -> None:
    assert words(ttl=64, **MACS, vlan=20) == ["ttl 64"]


def test_a_first_hop_shows_where_it_starts_from() -> None:
    assert words(join=None, ttl=64, **MACS, vlan=20, vlan_inner=7) == [
        "ttl 64", "vlan 20", "inner vlan 7", "02:00:00:00:00:01 → 02:00:00:00:00:02",
    ]  # fmt: skip


def test_addresses_and_ports_are_translated_together() -> None:
    assert words(
        Change("src", "10.0.0.1", "10.0.0.2", "snat"), Change("sport", 4711, 1024, "snat")
    ) == ["SNAT 10.0.0.1:4711→10.0.0.2:1024", "[fingerprint]"]
    assert words(Change("dport", 80, 8080, "dnat")) == ["DNAT :80→:8080", "[fingerprint]"]
    assert words(Change("src", "::1", "::2", None), Change("sport", 1, 2, None)) == [
        "src [::1]:1→[::2]:2", "[fingerprint]",
    ]  # fmt: skip


def test_new_macs_are_shown_as_they_are_now() -> None:
    change = Change("src_mac", "02:00:00:00:00:09", "02:00:00:00:00:01", "forwarded")
    assert words(change, **MACS) == ["02:00:00:00:00:01 → 02:00:00:00:00:02"]


def test_tags_come_go_and_change() -> None:
    assert words(Change("vlan", None, 20)) == ["+vlan 20"]
    assert words(Change("vlan", 20, None)) == ["-vlan 20"]
    assert words(Change("vlan", 20, 30), vlan=30) == ["vlan 20→30"]


def test_tunnels_are_entered_and_left() -> None:
    tunnel = {"encap": "vxlan", "vni": 7, "outer_src": "10.0.0.1", "outer_dst": "10.0.0.2"}
    assert words(Change("encap", None, "vxlan"), Change("vni", None, 7), **tunnel) == [
        "in vxlan vni 7 10.0.0.1 → 10.0.0.2"
    ]
    assert words(Change("encap", "vxlan", None), Change("vni", 7, None)) == ["out of vxlan"]


def test_other_changes_are_named() -> None:
    assert words(Change("tos", 0, 16)) == ["tos 0→16"]


def test_a_branch_says_where_it_came_from() -> None:
    assert words(ttl=63) == ["ttl 63"]
    hop = Hop(5, Observation(ttl=63), 0, parent=2, join=CERTAIN)
    assert [token.plain.strip() for token in hop_tokens(hop)] == ["ttl 63", "from hop 2"]


def test_the_routing_decision_is_shown_where_it_is_not_plain() -> None:
    assert words(route_table=16, route_gateway="169.254.74.217") == [
        "route table 16 via 169.254.74.217"
    ]
    assert words(route_table=254, route_gateway="10.0.0.1") == ["route via 10.0.0.1"]
    assert words(route_table=16, route_oif=4) == ["route table 16 on link"]
    assert words(route_table=100, route_oif=1) == ["route table 100 to this host"]
    assert words(route_table=254, route_oif=4) == []
    assert words(route_table=254, route_error=-101) == ["route: network unreachable"]


def test_a_drop_is_told_at_its_hop() -> None:
    assert words(hook="drop", ttl=63) == ["ttl 63", "dropped here"]


def test_a_rule_that_logged_the_packet_is_told_by_its_hook() -> None:
    assert words(device="eth0", hook="forward", ttl=63) == ["ttl 63", "logged in forward"]
    assert words(hook="forward", ttl=63) == ["ttl 63"]
    assert words(device="br-int", hook="ovs-receive", ttl=63) == ["ttl 63"]


def test_marks_are_left_to_the_data() -> None:
    assert words(Change("mark", 0, 0x4000000)) == []


def test_a_piece_that_was_cut_on_the_way_says_which_it_is() -> None:
    change = Change("ip_len", 3028, 1396)
    assert words(change, ip_len=1396, frag_offset=1376, more_fragments=True) == [
        "length 3028→1396", "fragment at 1376",
    ]  # fmt: skip
    assert words(ip_len=1396, frag_offset=1376, more_fragments=True) == []
