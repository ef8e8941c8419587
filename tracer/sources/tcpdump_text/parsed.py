"""What the text of one packet says, before it becomes a row."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from tracer.core.address import encode_ip, encode_mac
from tracer.core.enums import Decode
from tracer.core.point import Direction

DAMAGE = {
    "addresses-missing": "the line's addresses are not readable; the packet is kept without them",
    "unresolved-name": "tcpdump printed a host name (no -n); the address is unknown",
    "unparsed-line": "a packet whose text is not understood; the row has what is known",
    "relative-sequence": "TCP numbers are relative to a packet that is not there; they are unknown",
}
_NUMERIC = re.compile(r"[0-9a-fA-F:.]+(?:%\S+)?$")


@dataclass(slots=True)
class Parsed:
    """Columns of one packet by name, per section, and what was wrong with its text.

    `has_options` says that headers of unprinted length lie between the IP header and the next.
    `ends` are source and target as printed, port included; `inner` is the packet an ICMP error
    quotes.
    """

    packet: dict[str, int] = field(default_factory=dict)
    tunnel: dict[str, int] = field(default_factory=dict)
    arp: dict[str, int] = field(default_factory=dict)
    quoted: dict[str, int] = field(default_factory=dict)
    inner: "Parsed | None" = None
    has_options: bool = False
    ends: tuple[str, str] = ("", "")
    damage: set[str] = field(default_factory=set)
    device: str | None = None
    direction: Direction = Direction.UNKNOWN

    def set_decode(self, decode: Decode) -> None:
        """Record how far the text could be read; the first finding stands."""
        self.packet.setdefault("decode", int(decode))

    def set_address(self, name: str, text: str, section: dict[str, int] | None = None) -> None:
        """Set an address column from its text; a host name leaves it null and counts."""
        pair = address(text)
        if pair is None:
            self.damage.add("unresolved-name")
            return
        target = self.packet if section is None else section
        target[f"{name}_hi"], target[f"{name}_lo"] = pair


@lru_cache(maxsize=65536)
def address(text: str) -> tuple[int, int] | None:
    """Return (hi, lo) of a printed address, None for a name."""
    if not _NUMERIC.match(text):
        return None
    try:
        return encode_ip(text.partition("%")[0])
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def mac(text: str) -> int | None:
    """Return a printed MAC's column value, None for a name that says none."""
    if text == "Broadcast":
        return 0xFFFF_FFFF_FFFF
    try:
        return encode_mac(text)
    except ValueError:
        return None
