"""A printed ARP packet (tcpdump's print-arp.c; RFC 826)."""

import re

from tracer.core.enums import Decode
from tracer.sources.tcpdump_text.parsed import Parsed, mac

_REQUEST = re.compile(
    r"(?:Request )?who-has (\S+?)(?: \(([^)]+)\))?(?: \(oui [^)]*\))? tell ([^\s,]+)"
)
_REPLY = re.compile(r"(?:Reply )?([^\s,]+) is-at ([^\s,]+)")
_OWN = re.compile(r"(Announcement|Probe) ([^\s,]+)")


def parse_arp(text: str, parsed: Parsed) -> None:
    """Fill the ARP section; what a request does not print (its sender's MAC) stays null."""
    arp = parsed.arp
    if match := _REQUEST.search(text):
        arp["arp_op"] = 1
        parsed.set_address("arp_target_ip", match[1], arp)
        parsed.set_address("arp_sender_ip", match[3], arp)
        target = mac(match[2]) if match[2] else None
        if target is not None:
            arp["arp_target_mac"] = target
    elif match := _OWN.search(text):
        arp["arp_op"] = 1
        parsed.set_address("arp_target_ip", match[2], arp)
        parsed.set_address("arp_sender_ip", match[2] if match[1][0] == "A" else "0.0.0.0", arp)
    elif match := _REPLY.search(text):
        arp["arp_op"] = 2
        parsed.set_address("arp_sender_ip", match[1], arp)
        sender = mac(match[2])
        if sender is not None:
            arp["arp_sender_mac"] = sender
    else:
        parsed.damage.add("unparsed-line")
        parsed.set_decode(Decode.MALFORMED)
