"""One packet: from its link header inward, a layer at a time, to the last that is read."""

from typing import Any

from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.arp import arp
from tracer.sources.decode.ethernet import ethernet, ethertype, mpls, ppp
from tracer.sources.decode.icmp import icmp
from tracer.sources.decode.ip import ip, ipv4, ipv6
from tracer.sources.decode.load import Bytes
from tracer.sources.decode.transport import transport
from tracer.sources.decode.tunnel import come_out, gre


@inner_plain
def layers(data: Bytes, row: Any, cursor: Any, tunnel: Any, arps: Any, quoted: Any) -> None:
    """Read layers until one names no next. Every layer moves on, so that this ends."""
    while cursor.layer != at.DONE:
        layer = cursor.layer
        cursor.layer = at.DONE
        if layer == at.TRANSPORT:
            transport(data, row, cursor, tunnel)
        elif layer == at.IPV4:
            ipv4(data, row, cursor)
        elif layer == at.ETHERTYPE:
            ethertype(data, row, cursor)
        elif layer == at.ETHERNET:
            ethernet(data, row, cursor)
        elif layer == at.ICMP:
            icmp(data, row, cursor, quoted)
        elif layer == at.IPV6:
            ipv6(data, row, cursor)
        elif layer == at.IP:
            ip(data, row, cursor)
        elif layer == at.ARP:
            arp(data, row, cursor, arps)
        elif layer == at.MPLS:
            mpls(data, row, cursor)
        elif layer == at.GRE:
            gre(data, row, cursor, tunnel)
        elif layer == at.PPP:
            ppp(data, row, cursor)
    come_out(data, row, cursor, tunnel)
