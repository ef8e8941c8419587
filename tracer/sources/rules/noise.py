"""Lines in a file of rules that neither iptables nor nft prints: they are not read, which is told.

Forms are those of iptables-save(8), `iptables -S` and nft(8). The grammar of nft's rules is open: a
line in a chain is one where it begins with an expression or a statement, or translates or jumps.
"""

import re
from collections.abc import Sequence

_ANYWHERE = re.compile(r"\s*(?:#.*|[$#] .*|\[?\S*@.*[#$]( .*)?|\^C)?\s*$")  # remarks, prompts
_IPTABLES = re.compile(
    r"\s*(?:\[\d+:\d+\] +)?(?:-[ANP] +\S.*|\*\S+|:\S+ +\S+(?: +\[\d+:\d+\])?|COMMIT)\s*$"
)
_NFT = re.compile(r"\s*(?:table\b.*|flush\b.*|\}.*)$")
_NFT_TABLE = re.compile(
    r"\s*(?:(?:chain|set|map|meter|flowtable|ct|counter|quota|limit|secmark|synproxy|tunnel|flags"
    r"|comment|type|element|\})(?!\S*\w).*)$"
)
# What a rule begins with: expressions, then statements, in nft(8)'s order.
_NFT_RULE = re.compile(
    r"\s*(?:@|\(|\{|\}|(?:meta|[io]if(?:name|type|group|kind)?|skuid|skgid|nfproto|l4proto|protocol"
    r"|length|mark|priority|pkttype|cpu|cgroup|rtclassid|nftrace|[io]br\w+|sdif\w*|secpath|random|time|day"
    r"|hour|socket|osf|fib|rt\d?|ipsec|numgen|jhash|symhash|xfrm|tunnel|ether|vlan|arp|ip6?|icmp(?:v6)?"
    r"|igmp|tcp|udp(?:lite)?|sctp|dccp|th|ah|esp|comp|gre(?:tap)?|geneve|vxlan|hbh|srh|frag|dst|mh"
    r"|exthdr|ct"
    r"|accept|drop|queue|continue|return|jump|goto|log|reject|counter|quota|limit|last|[sd]nat"
    r"|masquerade|redirect|tproxy|synproxy|notrack|flow|dup|fwd|set|add|update|delete|map|meter"
    r"|secmark|xt|comment|type|policy|devices?|flags)(?=[\s;{]|$))"
)
_ACTING = re.compile(r"\b(?:[sd]nat|masquerade|redirect|jump|goto)\b")
_NFT_CHAIN = re.compile(r"\s*chain\b")
_QUOTED = re.compile(r'"[^"]*"|#.*')


def unread_iptables(lines: Sequence[str]) -> list[int]:
    """Return the indices of lines that are not of iptables."""
    return [
        at
        for at, line in enumerate(lines)
        if not _IPTABLES.match(line) and not _ANYWHERE.match(line)
    ]


def unread_nftables(lines: Sequence[str]) -> tuple[list[int], bool]:
    """Return the indices of lines that are not of nft, and whether the dump ends within a table.

    Lines inside a set, or anything else in a table that is no chain, are not looked at.
    """
    found, depth, is_chain = [], 0, False
    for at, line in enumerate(lines):
        form = {0: _NFT, 1: _NFT_TABLE, 2: _NFT_RULE if is_chain else None}.get(depth)
        is_form = form is None or form.match(line) or (form is _NFT_RULE and _ACTING.search(line))
        if not is_form and not _ANYWHERE.match(line):
            found.append(at)
        if depth == 1:
            is_chain = _NFT_CHAIN.match(line) is not None
        bare = _QUOTED.sub("", line)
        depth = max(depth + bare.count("{") - bare.count("}"), 0)
    return found, depth > 0
