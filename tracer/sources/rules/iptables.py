"""The nat table as iptables-save and `iptables -t nat -S` print it.

Options are those of iptables(8) and iptables-extensions(8). What an old program prints for a rule
that a newer one stored, `[unsupported revision]`, says nothing about where a rule translates to.
"""

import re
import shlex
from collections.abc import Iterable

from tracer.core.nat_rules.rule import HOOKS, Condition, Network, Range
from tracer.sources.rules.chains import Chains, Line
from tracer.sources.rules.words import networks, protocol, ranges

_ACTIONS = {"SNAT": "snat", "MASQUERADE": "masquerade", "DNAT": "dnat", "REDIRECT": "redirect",
            "NETMAP": "netmap"}  # fmt: skip
_VERDICTS = {"ACCEPT", "DROP", "RETURN", "QUEUE", "LOG", "NFLOG", "MARK", "CONNMARK"}
_COUNTERS = re.compile(r"^\[\d+:\d+\] +")
_RULE = re.compile(r"-A +\S")
# What somebody noted behind a rule of a transcript.
_REMARK = re.compile(r'^((?:[^"#]|"(?:\\.|[^"\\])*")*?) *#.*$')
_FIELDS = {
    "-s": "src", "--source": "src", "--src": "src", "-d": "dst", "--destination": "dst",
    "--dst": "dst", "-p": "proto", "--protocol": "proto", "-i": "iif", "--in-interface": "iif",
    "-o": "oif", "--out-interface": "oif", "--sport": "sport", "--source-port": "sport",
    "--sports": "sport", "--dport": "dport", "--destination-port": "dport", "--dports": "dport",
    "--src-range": "src", "--dst-range": "dst",
}  # fmt: skip
_PLAIN = {"tcp", "udp", "icmp", "icmp6", "comment", "multiport", "iprange", "sctp", "dccp"}
_SILENT = {"--random", "--random-fully", "--persistent"}


def read_iptables(lines: Iterable[str]) -> tuple[Chains, list[str]]:
    """Return the chains of the nat table, and the rules of it that could not be understood."""
    chains = Chains(hooks={hook.upper(): hook for hook in HOOKS})
    odd = []
    table = "nat"  # `iptables -S` names none
    for line in lines:
        text = _REMARK.sub(r"\1", _COUNTERS.sub("", line.strip()))
        if text.startswith("*"):
            table = text[1:].strip()
        elif table == "nat" and _RULE.match(text):
            chain, parsed = _rule(text)
            if parsed is None:
                odd.append(text)
            else:
                chains.lines.setdefault(chain, []).append(parsed)
    return chains, odd


def _rule(text: str) -> tuple[str, Line | None]:
    try:
        words = shlex.split(text)
        return words[1], _line(text, words[2:])
    except (ValueError, IndexError):
        return "", None


def _line(text: str, words: list[str]) -> Line:
    line, conditions = Line(text), []
    at, inverted = 0, False
    while at < len(words):
        word, value = words[at], words[at + 1] if at + 1 < len(words) else ""
        if word == "!":
            inverted, at = True, at + 1
            continue
        step = 2
        if word in _FIELDS:
            if value == "!":  # as iptables before 1.4.3 wrote it
                inverted, value, step = True, words[at + 2], 3
            conditions.append(_condition(_FIELDS[word], value, inverted))
        elif word in ("-m", "--match"):
            line.is_open |= value not in _PLAIN
        elif word in ("-j", "--jump", "-g", "--goto"):
            _target(line, value)
        elif word in ("--to-source", "--to-destination", "--to"):
            line.to, line.to_ports = _translated(value)
        elif word == "--to-ports":
            line.to_ports = ranges(value)[0]
        elif word in _SILENT:
            step = 1
        elif word not in ("--comment", "[unsupported"):
            line.is_open, step = True, 1
        at, inverted = at + step, False
    line.conditions = tuple(conditions)
    return line


def _target(line: Line, value: str) -> None:
    if value in _ACTIONS:
        line.action = _ACTIONS[value]
    elif value not in _VERDICTS:
        line.jumps = (value,)


def _condition(field: str, value: str, inverted: bool) -> Condition:
    if field in ("iif", "oif"):
        return Condition(field, (re.sub(r"\+$", "*", value),), inverted)
    if field == "proto":
        return Condition(field, (protocol(value),), inverted)
    if field in ("sport", "dport"):
        return Condition(field, ranges(value), inverted)
    found = tuple(network for part in value.split(",") for network in networks(part))
    return Condition(field, found, inverted)


def _translated(value: str) -> tuple[tuple[Network, ...], Range | None]:
    # 10.0.0.2, 10.0.0.2-10.0.0.9:80-90, [2001:db8::1]:80 or :80; DNAT may add /base to its ports.
    address, ports = value, ""
    if value.startswith("["):
        address, _, ports = value[1:].partition("]")
        ports = ports.lstrip(":")
    elif value.count(":") == 1:
        address, _, ports = value.partition(":")
    found = networks(address) if address else ()
    return found, ranges(ports.partition("/")[0])[0] if ports else None
