"""What a hop's line says after its place: TTL, and what changed, named and coloured."""

from tracer.core.hop import Change, Hop
from tracer.core.observation import Observation
from tracer.core.routes import route_error_words
from tracer.report.line import Line
from tracer.report.words import cause_word, change_words, evidence_words

NAT, FORWARDING, LINK, DOUBT = "bold magenta", "cyan", "blue", "yellow"
_ENDS = (("src", "sport"), ("dst", "dport"))
_TUNNEL = ("encap", "vni", "outer_src", "outer_dst")
# Marks are in the data, not here: routers set and clear them at every step.
_OWN_WORDS = {"ttl", "src_mac", "dst_mac", "vlan", "vlan_inner", "mark", *_TUNNEL}
# Netfilter's hooks: with a device, a rule there logged the packet (NFLOG).
_HOOKS = (
    *("prerouting", "input", "forward", "output", "postrouting"),
    *("ingress", "egress", "brouting"),
)
_MAIN, _LOCAL = 254, 255  # RT_TABLE_MAIN, RT_TABLE_LOCAL
_LOOPBACK = 1  # LOOPBACK_IFINDEX, in every namespace


def hop_tokens(hop: Hop) -> list[Line]:
    """Return the words of a hop: TTL first, then translations and their evidence, links last."""
    changes = {change.field: change for change in hop.changes}
    tokens = _ttl(hop.observation, changes.pop("ttl", None))
    if hop.join is not None and hop.parent != hop.n - 1:
        tokens.append(Line(f"from hop {hop.parent}", "dim"))
    tokens += _translations(changes)
    if (evidence := evidence_words(hop)) is not None:
        certain = hop.join is not None and (hop.join.candidates or 1) == 1
        tokens.append(Line(evidence, "dim" if certain else DOUBT))
    tokens += [
        Line(change_words(change), DOUBT)
        for name, change in changes.items()
        if name not in _OWN_WORDS
    ]
    if changes.keys() & {"ip_len", "payload_len"}:
        tokens += _piece(hop.observation)
    if hop.observation.hook == "drop":
        tokens.append(Line("dropped here", "bold red"))
    if hop.observation.device is not None and hop.observation.hook in _HOOKS:
        tokens.append(Line(f"logged in {hop.observation.hook}", "dim"))
    tokens += _route(hop.observation)
    tokens += _tunnel(hop, changes) + _tags(hop, changes)
    if hop.join is None or changes.keys() & {"src_mac", "dst_mac"}:
        tokens += _macs(hop.observation)
    return tokens


def _piece(seen: Observation) -> list[Line]:
    """Words for a fragment where the datagram was cut in another way before."""
    if seen.frag_offset or seen.more_fragments:
        return [Line(f"fragment at {seen.frag_offset}", DOUBT)]
    return []


def _route(seen: Observation) -> list[Line]:
    """Words for the routing decision made here, where it is not the main table's own link."""
    if seen.route_table is None:
        return []
    table = "" if seen.route_table in (_MAIN, _LOCAL) else f" table {seen.route_table}"
    if seen.route_error:
        return [Line(f"route{table}: {route_error_words(seen.route_error)}", "bold red")]
    if seen.route_gateway is not None:
        return [Line(f"route{table} via {seen.route_gateway}", FORWARDING)]
    leads = "to this host" if seen.route_oif == _LOOPBACK else "on link"
    return [Line(f"route{table} {leads}", FORWARDING)] if table else []


def _ttl(seen: Observation, change: Change | None) -> list[Line]:
    if seen.ttl is None:
        return []
    if change is None:
        return [Line(f"ttl {seen.ttl}".ljust(9))]
    return [Line(f"ttl {change.before}→{change.after}".ljust(9), FORWARDING)]


def _translations(changes: dict[str, Change]) -> list[Line]:
    """Words for translated addresses and ports; takes what it names out of `changes`."""
    tokens = []
    for address, port in _ENDS:
        moved, reported = changes.pop(address, None), changes.pop(port, None)
        named = moved or reported
        if named is None:
            continue
        word = cause_word(named.cause) if named.cause else address
        tokens.append(Line(f"{word} {_end(moved, reported, 0)}→{_end(moved, reported, 1)}", NAT))
    if (identifier := changes.pop("icmp_id", None)) is not None:
        tokens.append(Line(change_words(identifier), NAT))
    return tokens


def _end(moved: Change | None, reported: Change | None, side: int) -> str:
    parts = [
        str((change.before, change.after)[side]) if change else "" for change in (moved, reported)
    ]
    if reported is None:
        return parts[0]
    return f"[{parts[0]}]:{parts[1]}" if ":" in parts[0] else ":".join(parts)


def _macs(seen: Observation) -> list[Line]:
    if seen.src_mac is None and seen.dst_mac is None:
        return []
    return [Line(f"{seen.src_mac or '?'} → {seen.dst_mac or '?'}", "dim")]


def _tags(hop: Hop, changes: dict[str, Change]) -> list[Line]:
    tokens = []
    for name, word in (("vlan", "vlan"), ("vlan_inner", "inner vlan")):
        value = getattr(hop.observation, name)
        if name not in changes:
            if hop.join is None and value is not None:
                tokens.append(Line(f"{word} {value}", LINK))
            continue
        change = changes[name]
        if change.before is None:
            tokens.append(Line(f"+{word} {change.after}", LINK))
        elif change.after is None:
            tokens.append(Line(f"-{word} {change.before}", LINK))
        else:
            tokens.append(Line(f"{word} {change.before}→{change.after}", LINK))
    return tokens


def _tunnel(hop: Hop, changes: dict[str, Change]) -> list[Line]:
    seen = hop.observation
    if not changes.keys() & set(_TUNNEL) and not (hop.join is None and seen.encap):
        return []
    if seen.encap is None:
        left = changes["encap"].before if "encap" in changes else "tunnel"
        return [Line(f"out of {left}", LINK)]
    vni = f" vni {seen.vni}" if seen.vni is not None else ""
    return [Line(f"in {seen.encap}{vni} {seen.outer_src} → {seen.outer_dst}", LINK)]
