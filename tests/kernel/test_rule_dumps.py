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


#: One of each expression and statement of nft(8); a kernel need not have them all.
_EVERY_RULE = """
accept
drop
queue num 3 bypass
continue
return
jump other
goto other
log prefix "x" level info
log group 5
reject with tcp reset
reject
counter packets 0 bytes 0
quota over 10 mbytes
limit rate 10/second
last
notrack
tproxy ip to 127.0.0.1:80
synproxy mss 1460 wscale 7
ip saddr . tcp dport { 10.0.0.1 . 80 }
meta mark 0x1
meta mark & 0xff == 0x1
meta mark set ct mark
ct mark set meta mark
ct state established
ct original saddr 10.0.0.1
meta l4proto tcp
meta nfproto ipv4
meta length 60
meta priority set 1:2
meta pkttype broadcast
meta cpu 1
meta hour "10:00"-"11:00"
meta day "Monday"
meta time > "2020-01-01"
meta random < 100
meta nftrace set 1
meta secpath exists
meta ibrname "br0"
meta obrname "br0"
meta sdif 1
meta sdifname "x"
meta iifkind "veth"
meta rtclassid 1
meta cgroup 1
iif lo
oif lo
iifname "x"
iiftype ether
iifgroup 1
oifgroup 1
meta skuid 0
meta skgid 0
socket mark 1
socket transparent 1
socket cgroupv2 level 1 "x"
osf name "Linux"
fib saddr oif missing
fib daddr type local
rt classid 1
rt nexthop 10.0.0.1
rt ip nexthop 10.0.0.1
rt mtu 1000
ipsec in reqid 1
numgen inc mod 2 vmap { 0 : accept, 1 : drop }
jhash ip saddr mod 2 vmap { 0 : accept, 1 : drop }
symhash mod 2 vmap { 0 : accept, 1 : drop }
ether saddr aa:bb:cc:dd:ee:ff
vlan id 5
arp operation request
icmp type echo-request
icmpv6 type echo-request
igmp type membership-query
tcp flags syn
tcp option maxseg size set rt mtu
tcp option timestamp exists
udp dport 53
udplite dport 53
sctp dport 53
sctp chunk data exists
dccp dport 53
th dport 53
ah spi 1
esp spi 1
comp cpi 1
gre version 0
vxlan vni 5
geneve vni 5
gretap ip saddr 1.2.3.4
hbh nexthdr 6
rt0 addr[1] ::1
srh segments-left 1
frag id 1
dst nexthdr 6
mh type 1
exthdr frag exists
exthdr hbh missing
@th,16,16 80
@nh,0,8 5
@ll,0,48 1
@ih,0,8 1
dup to 10.0.0.1
fwd to eth0
ip option lsrr exists
ip dscp set 5
tcp dport 80 meter m { ip saddr limit rate 10/second }
ct count over 10
ct zone 5
tunnel id 1
ip6 saddr ::1
ip saddr & 255.0.0.0 == 10.0.0.0
(meta mark | 0x1) == 0x3
ct label 5
ct direction original
ct expiration > 5s
ct bytes > 100
ct status dnat
ct event set new
counter
redirect to :80
masquerade
"""
_NO_RULES = [
    *("Killed", "client_loop: send disconnect: Broken pipe", "-A POSTROUTING -j MASQUERADE"),
    *("ip: command not found", "[  12.3] veth0: link down", "metadata", "ct_state", "10.0.0.1"),
]


def test_lines_inside_a_chain_that_nft_does_not_print_are_counted(
    namespace: str, tmp_path: Path
) -> None:
    def nft(words: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        command = ["ip", "netns", "exec", namespace, "nft", *words.split()]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)

    base = "type filter hook prerouting priority 0;"
    made = nft("-f -", f"table inet each {{ chain other {{ }}\nchain every {{ {base} }}\n}}\n")
    assert made.returncode == 0, made.stderr
    rules = _EVERY_RULE.strip().splitlines()
    known = [nft("-f -", f"add rule inet each every {rule}\n").returncode == 0 for rule in rules]
    assert sum(known) > 60
    for words in ("-a list table inet each", "-s list table inet each", "list table inet each"):
        lines = nft(words).stdout.splitlines(keepends=True)
        file = tmp_path / "nft.txt"
        file.write_text("".join(lines))
        assert "unread-line" not in {each.kind for each in read_rules(file)[1]}
        at = next(n for n, line in enumerate(lines) if "chain every {" in line) + 2
        file.write_text("".join([*lines[:at], *(f"{each}\n" for each in _NO_RULES), *lines[at:]]))
        (warning,) = (each for each in read_rules(file)[1] if each.kind == "unread-line")
        assert warning.count == len(_NO_RULES)
        assert warning.message.endswith(f"the first is line {at + 1}: Killed")


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
