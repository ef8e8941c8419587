"""Lines in a file of rules that neither iptables nor nft prints: they are not read, which is told.

Forms are those of iptables-save(8), `iptables -S` and nft(8). What stands in a chain of nft is not
looked at: its grammar is open, and a rule that translates nothing says nothing here.
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
_QUOTED = re.compile(r'"[^"]*"|#.*')


def unread_iptables(lines: Sequence[str]) -> list[int]:
    """Return the indices of lines that are not of iptables."""
    return [
        at
        for at, line in enumerate(lines)
        if not _IPTABLES.match(line) and not _ANYWHERE.match(line)
    ]


def unread_nftables(lines: Sequence[str]) -> tuple[list[int], bool]:
    """Return the indices of lines outside chains that are not of nft, and whether the dump ends
    within a table.
    """
    found, depth = [], 0
    for at, line in enumerate(lines):
        form = {0: _NFT, 1: _NFT_TABLE}.get(depth)
        if form is not None and not form.match(line) and not _ANYWHERE.match(line):
            found.append(at)
        bare = _QUOTED.sub("", line)
        depth = max(depth + bare.count("{") - bare.count("}"), 0)
    return found, depth > 0
