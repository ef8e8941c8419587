"""The nat chains of what `nft list ruleset` prints (nft(8)).

What a rule asks for beyond addresses, ports, protocols and devices (sets, maps, marks, states) is
not evaluated: such a rule may have fitted. Rules that iptables-nft put there read alike.
"""

import re
from collections.abc import Iterable, Iterator

from tracer.core.nat_rules.rule import Condition
from tracer.sources.rules.chains import Chains, Line
from tracer.sources.rules.words import networks, protocol, ranges

_TABLE = re.compile(r"table +(?:(\w+) +)?(\S+) +\{")
_CHAIN = re.compile(r"chain +(\S+) +\{")
_HOOK = re.compile(r"type +nat +hook +(\w+)")
_JUMP = re.compile(r"\b(?:jump|goto) +([\w.-]+)")
_TO = re.compile(
    r"(?<!\S)(?:([sd]nat)(?: +(?:ip6?|inet))?(?: +prefix)?|(masquerade|redirect))"
    r"(?: +to +(\S+))?(?!\S)"
)
_STATE = re.compile(r"\bct +(?:status|state)(?: +[!=]=)? +\S+")
_XT = re.compile(r'\bxt target "?(SNAT|DNAT|MASQUERADE|REDIRECT)"?')
_VALUE = r"(?P<value>\{[^}]*\}|\"[^\"]*\"|(?!v?map\b|\.\s)[^\s{}@\"]\S*)"
_MATCH = re.compile(
    r"\b(?:(?:ip6? +(?P<address>saddr|daddr))|(?:ip +(?P<proto>protocol))"
    r"|(?:ip6 +(?P<next>nexthdr))"
    r"|(?:meta +)?(?P<l4>l4proto)|(?:(?:tcp|udp|th|sctp|dccp|udplite) +(?P<port>sport|dport))"
    r"|(?:meta +)?(?P<device>[io]ifname|[io]if))"
    rf" +(?P<operator>!= +|== +)?{_VALUE}"
)
_NOTHING = re.compile(
    r"counter(?: packets \d+ bytes \d+)?|comment +\"[^\"]*\"|# handle \d+|fully-random|random"
    r"|persistent|\baccept\b|\breturn\b|xt match \"?(?:comment|tcp|udp)\"?"
)
_PORTS = re.compile(r"^(?:tcp|udp) +[sd]port\b")


def read_nftables(lines: Iterable[str]) -> tuple[list[Chains], list[str]]:
    """Return the chains of each table, and the rules that could not be understood."""
    tables: list[Chains] = []
    odd: list[str] = []
    chain, depth = "", 0
    for text in _whole(lines):
        if _TABLE.match(text):
            tables.append(Chains())
            depth = 1
        elif found := _CHAIN.match(text):
            chain, depth = found[1], 2
        elif text == "}":
            depth, chain = max(depth - 1, 0), ""
        elif chain and depth == 2 and tables:
            if hook := _HOOK.search(text):
                tables[-1].hooks[chain] = hook[1]
            else:
                _add(tables[-1], chain, text, odd)
        elif text.endswith("{"):
            depth += 1  # a set, a map, a flow table
    return tables, odd


def _add(table: Chains, chain: str, text: str, odd: list[str]) -> None:
    try:
        line = _line(text)
    except ValueError:
        odd.append(text)
        return
    if line.action or line.jumps:
        table.lines.setdefault(chain, []).append(line)


def _whole(lines: Iterable[str]) -> Iterator[str]:
    # A set inside a rule may go on over lines.
    held = ""
    for line in lines:
        text = f"{held} {line.strip()}" if held else line.strip()
        is_rule = not (_TABLE.match(text) or _CHAIN.match(text) or text.endswith("{"))
        if (is_rule or held) and text.count("{") > text.count("}") and len(text) < 1 << 16:
            held = text
            continue
        held = ""
        if text:
            yield text


def _line(text: str) -> Line:
    line = Line(re.sub(r" *counter packets \d+ bytes \d+", "", text).strip())
    rest = _NOTHING.sub(" ", text)
    conditions: list[Condition] = []
    for match in _MATCH.finditer(rest):
        conditions += _conditions(match)
    rest = _MATCH.sub(" ", rest)
    line.jumps = tuple(dict.fromkeys(_JUMP.findall(rest)))
    line.is_open = len(line.jumps) > 1 or "vmap" in rest or _STATE.search(rest) is not None
    rest = _STATE.sub(" ", _JUMP.sub(" ", rest))
    if found := _TO.search(rest):
        line.action = found[1] or found[2]
        _set_target(line, found[3])
        rest = rest.replace(found.group(), " ", 1)
    elif found := _XT.search(rest):
        line.action = found[1].lower()
        rest = rest.replace(found.group(), " ", 1)
    line.is_open |= bool(rest.strip())
    line.conditions = tuple(conditions)
    return line


def _conditions(match: "re.Match[str]") -> Iterator[Condition]:
    is_inverted = (match["operator"] or "").startswith("!")
    values = [part.strip().strip('"') for part in match["value"].strip("{} ").split(",")]
    if match["address"]:
        field = "src" if match["address"] == "saddr" else "dst"
        found = tuple(network for value in values for network in networks(value))
        yield Condition(field, found, is_inverted)
    elif match["port"]:
        yield Condition(match["port"], tuple(r for v in values for r in ranges(v)), is_inverted)
        protocol_name = match.group().split()[0]
        if protocol_name != "th":
            yield Condition("proto", (protocol(protocol_name),))
    elif match["device"]:
        yield Condition(match["device"][:3], tuple(values), is_inverted)
    else:
        yield Condition("proto", tuple(protocol(value) for value in values), is_inverted)


def _set_target(line: Line, target: str | None) -> None:
    if not target:
        return
    address, ports = target, ""
    if target.startswith("["):
        address, _, ports = target[1:].partition("]")
        ports = ports.lstrip(":")
    elif target.count(":") == 1:
        address, _, ports = target.partition(":")
    try:
        line.to = networks(address) if address else ()
        line.to_ports = ranges(ports)[0] if ports else None
    except ValueError:  # a map, a set: it says where for each packet anew
        line.to, line.is_open = (), True
