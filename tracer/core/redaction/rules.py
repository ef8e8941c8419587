"""NAT rules with pseudonyms: told anew from what they mean, so that no comment or name is left."""

import dataclasses
import re
from collections.abc import Callable

from tracer.core.address import NULL_U64, decode_ip
from tracer.core.nat_rules.rule import Condition, NatRule, Network

# Chains that every host has, or every Neutron router: their names say nothing of anybody.
_ANYONES = re.compile(
    r"(?i:prerouting|input|output|postrouting)|neutron-l3-agent-[A-Za-z]+(?:-[a-z]+)*"
    r"|neutron-postrouting-bottom"
)
_WORDS = {"src": "-s", "dst": "-d", "proto": "-p", "sport": "--sport", "dport": "--dport",
          "iif": "-i", "oif": "-o"}  # fmt: skip
_TARGETS = {"snat": "--to-source", "dnat": "--to-destination"}


@dataclasses.dataclass(frozen=True, slots=True)
class RulePseudonyms:
    """Gives rules theirs by those of addresses (as pairs), devices and other names."""

    ip: Callable[[int, int], tuple[int, int]]
    device: Callable[[str], str]
    name: Callable[[str], str]

    def rule(self, rule: NatRule) -> NatRule:
        """Return the rule with pseudonyms; namespace, host and file are left to the caller."""
        conditions = tuple(self._condition(each) for each in rule.conditions)
        to = tuple(self._network(network) for network in rule.to)
        chains = tuple(
            chain if _ANYONES.fullmatch(chain) else f"chain-{self.name(chain)}"
            for chain in rule.chains
        )
        told = dataclasses.replace(rule, conditions=conditions, to=to, chains=chains)
        return dataclasses.replace(told, text=_text(told))

    def _condition(self, condition: Condition) -> Condition:
        if condition.field in ("src", "dst"):
            networks = tuple(self._network(network) for network in condition.pairs)
            return dataclasses.replace(condition, values=networks)
        if condition.field in ("iif", "oif"):
            devices = tuple(self._pattern(device) for device in condition.names)
            return dataclasses.replace(condition, values=devices)
        return condition

    def _pattern(self, device: str) -> str:
        # The beginning of a name has no pseudonym; a Neutron prefix (`qr-*`) needs none.
        if device.endswith("*"):
            return device if re.fullmatch(r"[a-z]{2,4}-?\*", device) else "*"
        return self.device(device)

    def _network(self, network: Network) -> Network:
        # Pseudonyms keep prefixes, so a network's is that of any address in it.
        address, length = network
        hi, lo = self.ip(address >> 64, address & NULL_U64)
        mask = ((1 << length) - 1) << (128 - length)
        return (hi << 64 | lo) & mask, length


def _text(rule: NatRule) -> str:
    parts = [f"-A {rule.chains[-1]}"]
    for condition in rule.conditions:
        values = ",".join(_value(condition.field, value) for value in condition.values)
        parts.append(f"{'! ' if condition.inverted else ''}{_WORDS[condition.field]} {values}")
    parts += ["(and more)"] if rule.is_open else []
    parts.append(f"-j {rule.action.upper()}")
    if rule.to:
        ports = f":{rule.to_ports[0]}-{rule.to_ports[1]}" if rule.to_ports else ""
        parts.append(f"{_TARGETS[rule.action]} {','.join(map(_network_text, rule.to))}{ports}")
    return " ".join(parts)


def _value(field: str, value: Network | str) -> str:
    if isinstance(value, str):
        return value
    if field in ("src", "dst"):
        return _network_text(value)
    return str(value[0]) if value[0] == value[1] else f"{value[0]}:{value[1]}"


def _network_text(network: Network) -> str:
    address, length = network
    text = decode_ip(address >> 64, address & NULL_U64) or "::"
    length -= 0 if ":" in text else 96
    return text if length == (128 if ":" in text else 32) else f"{text}/{length}"
