"""Rules read from what iptables and nft print of one table, and rules named against counters."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracer
from tests.kernel.routed import run
from tracer import lab as lab_package
from tracer.core.nat_rules.matching import rules_at
from tracer.core.nat_rules.rule import NatRule
from tracer.lab import LabStatus
from tracer.sources.rules import read_rules

pytestmark = pytest.mark.kernel
_RULES = """*nat
:DOCKER - [0:0]
:neutron-l3-agent-snat - [0:0]
-A PREROUTING -p tcp -m multiport --dports 22,8000:8010 -j DOCKER
-A DOCKER ! -i docker0 -d 192.0.2.1 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -i qr-+ -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 9697
-A POSTROUTING -j neutron-l3-agent-snat
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A neutron-l3-agent-snat -s 192.168.3.69/32 -j SNAT --to-source 100.122.0.145 --random-fully
-A neutron-l3-agent-snat ! -s 10.0.0.0/8 -p udp --sport 53 -j SNAT --to-source 192.0.2.4-192.0.2.6
-A neutron-l3-agent-snat -m mark ! --mark 0x2/0xffff -j SNAT --to-source 192.0.2.9
COMMIT
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"ruledumps{os.getpid()}"
    run(f"ip netns add {name}")
    yield name
    run(f"ip netns del {name}")


def meaning(rule: NatRule) -> tuple[object, ...]:
    conditions = {(each.field, each.values, each.inverted) for each in rule.conditions}
    return rule.hook, rule.chains, rule.action, rule.to, rule.to_ports, rule.is_open, conditions


def test_iptables_and_nft_print_the_same_rules(namespace: str, tmp_path: Path) -> None:
    inside = ["ip", "netns", "exec", namespace]
    subprocess.run([*inside, "iptables-restore"], input=_RULES, text=True, check=True)
    found = {}
    for name, command in {
        "save": "iptables-save -c", "list": "iptables -t nat -S", "nft": "nft list ruleset",
    }.items():  # fmt: skip
        dump = subprocess.run(
            [*inside, *command.split()], text=True, capture_output=True, check=True
        )
        (tmp_path / name).write_text(dump.stdout)
        rules, warnings = read_rules(tmp_path / name)
        assert warnings == [], name
        found[name] = [meaning(rule) for rule in rules]
    assert len(found["save"]) == 6
    assert found["save"] == found["list"]
    assert found["save"] == found["nft"]


_RULESET = """table inet every {
  comment "braces { and } in a text"
  counter seen { packets 1 bytes 2 }
  quota most { over 100 mbytes }
  limit few { rate 10/second }
  ct timeout short { protocol tcp; l3proto ip; policy = { established : 60 }; }
  ct helper ftp { type "ftp" protocol tcp; }
  synproxy proxy { mss 1460 wscale 7 timestamp sack-perm }
  set hosts { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1 } }
  map to { type ipv4_addr : inet_service; elements = { 10.0.0.1 : 80,
    10.0.0.2 : 81 } }
  chain post {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @hosts counter name seen masquerade comment "as { was }"
    tcp dport { 1, 2,
      3 } snat ip to 192.0.2.9
  }
}
table netdev empty {
}
"""


@pytest.mark.parametrize("command", ["nft -a list ruleset", "nft -s list ruleset"])
def test_what_nft_prints_is_told_from_what_it_does_not(
    command: str, namespace: str, tmp_path: Path
) -> None:
    inside = ["ip", "netns", "exec", namespace]
    subprocess.run([*inside, "nft", "-f", "-"], input=_RULESET, text=True, check=True)
    dump = subprocess.run([*inside, *command.split()], text=True, capture_output=True, check=True)
    lines = dump.stdout.splitlines(keepends=True)
    file = tmp_path / "nft.txt"
    file.write_text(dump.stdout)
    rules, warnings = read_rules(file)
    assert ([rule.action for rule in rules], warnings) == (["masquerade", "snat"], [])
    file.write_text("".join([*lines[:1], "Killed\n", *lines[1:], "Connection closed.\n"]))
    cut, (warning,) = read_rules(file)
    assert [rule.action for rule in cut] == ["masquerade", "snat"]
    assert (warning.kind, warning.count, warning.offset) == ("unread-line", 2, len(lines[0]))
    assert warning.message.endswith("the first is line 2: Killed")
    file.write_text("".join(lines[:-3]))
    assert [each.kind for each in read_rules(file)[1]] == ["truncated-rules"]


@pytest.mark.parametrize("case", ["fip-outbound", "fip-inbound", "snat-centralized"])
def test_the_rule_named_is_the_one_the_kernel_counted(
    lab: LabStatus, case: str, tmp_path: Path
) -> None:
    before = _counted()
    points = lab_package.points(case)
    lab_package.record(
        tmp_path, points, lambda: [*lab_package.ping(case, 3), *lab_package.send_udp(case, 3)]
    )
    journey_set = tracer.read(tmp_path).journey_set
    _, codes, sets = rules_at(journey_set)
    named = {
        (journey_set.nat_rules[number].netns, journey_set.nat_rules[number].text)
        for code in codes.tolist()
        for number in sets[code]
    }
    after = _counted()
    counted = {rule for rule, number in after.items() if number > before.get(rule, 0)}
    places = {point.netns for point in points}
    assert named == {(netns, text) for netns, text in counted if netns in places}
    assert len(named) == 1


def _counted() -> dict[tuple[str, str], int]:
    # Packets of each translating rule of the lab, as the kernel counts them.
    found = {}
    for netns in subprocess.run(["ip", "netns"], text=True, capture_output=True).stdout.split("\n"):
        name = netns.partition(" ")[0]
        if name.startswith(("qrouter-", "snat-")):
            save = ["ip", "netns", "exec", name, "iptables-save", "-c", "-t", "nat"]
            dump = subprocess.run(save, text=True, capture_output=True, check=True).stdout
            for number, text in re.findall(r"(?m)^\[(\d+):\d+\] (-A .* -j [SD]NAT .*)$", dump):
                found[name, text] = int(number)
    return found
