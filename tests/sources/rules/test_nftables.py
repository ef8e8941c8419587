"""What `nft list ruleset` prints, of iptables-nft and of rules made for nft."""

from collections.abc import Sequence

import pytest

from sources.rules.test_iptables import v4
from tracer.core.nat_rules.rule import Condition, NatRule
from tracer.sources.rules.nftables import read_nftables


def rules(text: str, odd: Sequence[str] = ()) -> list[NatRule]:
    tables, not_understood = read_nftables(text.splitlines())
    assert not_understood == list(odd)
    return [rule for table in tables for rule in table.rules()]


def chain(*lines: str, hook: str = "postrouting") -> str:
    base = f"type nat hook {hook} priority srcnat; policy accept;"
    return "\n".join(["table ip nat {", " chain base {", base, *lines, " }", "}"])


def test_rules_of_iptables_nft() -> None:
    dnat, snat = rules("""
# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip nat {
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		counter packets 0 bytes 0 jump neutron-l3-agent-PREROUTING
	}

	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		counter packets 0 bytes 0 jump neutron-l3-agent-snat
	}

	chain neutron-l3-agent-PREROUTING {
		iifname "rfp-1" ip daddr 100.122.0.145 counter packets 0 bytes 0 dnat to 192.168.3.69
	}

	chain neutron-l3-agent-POSTROUTING {
		oifname != "rfp-b6a86b9f-6" ct status dnat counter packets 0 bytes 0 accept
	}

	chain neutron-l3-agent-snat {
		ip saddr 192.168.3.69 counter packets 7 bytes 0 snat to 100.122.0.145 fully-random
	}
}
table ip filter {
	set allowed {
		type ipv4_addr
		elements = { 10.0.0.1, 10.0.0.2 }
	}

	chain FORWARD {
		type filter hook forward priority filter; policy accept;
		ip saddr 10.0.0.1 counter packets 0 bytes 0 jump neutron-filter-top
	}
}
""")
    assert dnat.conditions == (
        Condition("iif", ("rfp-1",)),
        Condition("dst", (v4("100.122.0.145"),)),
    )
    assert dnat.to == (v4("192.168.3.69"),)
    assert (snat.chains, snat.is_open) == (("POSTROUTING", "neutron-l3-agent-snat"), False)
    assert snat.text == "ip saddr 192.168.3.69 snat to 100.122.0.145 fully-random"


@pytest.mark.parametrize(
    ("line", "conditions", "is_open"),
    [
        (
            'ip saddr { 10.0.0.1, 10.1.0.0/16 } oifname "eth0" masquerade',
            [Condition("src", (v4("10.0.0.1"), v4("10.1.0.0", 16))), Condition("oif", ("eth0",))],
            False,
        ),
        (
            "ip saddr != 10.0.0.0/8 masquerade",
            [Condition("src", (v4("10.0.0.0", 8),), True)],
            False,
        ),
        ("ip saddr 10.0.0.4-10.0.0.7 masquerade", [Condition("src", (v4("10.0.0.4", 30),))], False),
        ("meta l4proto { tcp, udp } masquerade", [Condition("proto", ((6, 6), (17, 17)))], False),
        ("ip protocol icmp masquerade random", [Condition("proto", ((1, 1),))], False),
        ("ip saddr @inside masquerade", [], True),
        ("meta mark 0x00004000 masquerade", [], True),
        ("ct state new masquerade", [], True),
        ('oifname "tap*" masquerade comment "of bob"', [Condition("oif", ("tap*",))], False),
    ],
)
def test_a_line_is_conditions_or_open(
    line: str, conditions: list[Condition], is_open: bool
) -> None:
    (rule,) = rules(chain(line))
    assert list(rule.conditions) == conditions
    assert rule.is_open is is_open


def test_what_a_statement_translates_to() -> None:
    port, ranged, mapped, prefix = rules(
        chain(
            "tcp dport 8080 dnat to 172.17.0.2:80",
            "dnat ip to 10.0.0.4-10.0.0.5",
            "dnat to ip daddr map { 192.0.2.1 : 10.0.0.1 }",
            "dnat ip6 to [2001:db8::1]:80",
            hook="prerouting",
        )
    )
    assert (port.to, port.to_ports) == ((v4("172.17.0.2"),), (80, 80))
    assert port.conditions == (Condition("dport", ((8080, 8080),)), Condition("proto", ((6, 6),)))
    assert ranged.to == (v4("10.0.0.4", 31),)
    assert (mapped.to, mapped.is_open) == ((), True)
    assert (prefix.to, prefix.to_ports) == (((0x2001_0DB8 << 96 | 1, 128),), (80, 80))


def test_verdict_maps_may_lead_anywhere() -> None:
    first, second = rules("""
table inet kube {
 chain services {
  type nat hook prerouting priority dstnat; policy accept;
  ip daddr . tcp dport vmap { 10.96.0.1 . 443 : jump one,
                              10.96.0.2 . 80 : goto two }
 }
 chain one {
  dnat ip to 10.244.0.5:6443
 }
 chain two {
  dnat ip to 10.244.0.6:8080
 }
}
""")
    assert first.is_open
    assert second.is_open
    assert (first.chains, second.chains) == (("services", "one"), ("services", "two"))


def test_what_cannot_be_understood_is_returned() -> None:
    assert rules(chain("ip saddr 10.0.0.300 masquerade"), ["ip saddr 10.0.0.300 masquerade"]) == []
