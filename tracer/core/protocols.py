"""Numbers of protocols, as IANA and IEEE assign them, and their names, as output shows them."""

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
ARP = -2  # among them; it is no protocol of IP
ETHERTYPE_ARP = 0x0806
SOLICITATION, ADVERTISEMENT = 135, 136  # ICMPv6: who has an address, and who says so (RFC 4861)
#: Names that a filter takes.
PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP, "icmpv6": ICMPV6, "arp": ARP}

# IANA protocol numbers that turn up next to tunnels and routers; others are shown as numbers.
_NAMES = {
    **{number: name for name, number in PROTOCOLS.items()},
    2: "igmp",
    4: "ipip",
    41: "ipv6",
    47: "gre",
    50: "esp",
    51: "ah",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    132: "sctp",
}


def protocol_name(number: int) -> str | None:
    """Return `icmp`, `tcp`, `arp` (-2) …, the number as text when it has no name, None for -1."""
    return None if number == -1 else _NAMES.get(number, str(number))
