"""Packets that never leave the link they were sent on, so that nobody translates their addresses.

Many of them are alike but for their addresses (neighbour discovery of two links at one time), which
then tell them apart. Who has no address yet sends from the unspecified one: reports of listeners
(RFC 3376, 4.2.13; RFC 3810, 5.2.13), solicitations (RFC 4861, 4.1 and 4.3), a switch's queries,
DHCP. No router forwards that (RFC 4291, 2.5.2; RFC 1812, 5.3.7), only the source MAC says who sent
it, and bridges leave that as it is (IEEE 802.1D).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import GROUP_BIT, NULL_U64, V4_PREFIX
from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner_plain
from tracer.core.mixing import mixed
from tracer.core.protocols import ADVERTISEMENT, ICMPV6, SOLICITATION
from tracer.correlate.hashing import Keys, factorise

_IGMP = 2
# MLD (RFC 2710, 3810), router and neighbour discovery (RFC 4861) with redirects, inverse discovery
# (RFC 3122), certification paths (RFC 3971), multicast router discovery (RFC 4286).
_TYPES = ((130, 137), (141, 143), (148, 149), (151, 153))
_BROADCAST = np.uint64(V4_PREFIX | 0xFFFFFFFF)
_LOCAL_NETWORK = np.uint64((V4_PREFIX | 0xE0000000) >> 8)  # 224.0.0.0/24, RFC 5771
_LINK_SCOPE = np.uint64(0xFF02)  # ffx2::/16 with any flags, RFC 4291
_SCOPE_BITS = np.uint64(0xFF0F)
#: Of an address, what the group shows that a solicitation for it goes to (RFC 4291, 2.7.1).
SOLICITED_BITS = np.uint64(0xFFFFFF)
_GROUP, _NULL = np.uint64(GROUP_BIT), np.uint64(NULL_U64)


@inner_plain
def is_for_group(mac: Any) -> bool:
    """Return whether a destination MAC is known, and that of several stations."""
    return bool(mac != _NULL and mac & _GROUP)


@inner_plain
def is_of_one_link(r: Any) -> bool:
    """Return whether no router forwards the packet of a record, whatever its TTL."""
    if r.ip_version == 6:
        if r.proto == ICMPV6:
            for low, high in _TYPES:
                if low <= r.icmp_type <= high:
                    return True
        return bool((r.dst_hi >> np.uint64(48)) & _SCOPE_BITS == _LINK_SCOPE)
    if r.ip_version != 4:
        return False
    if r.proto == _IGMP or r.dst_lo == _BROADCAST:
        return True
    return bool(r.dst_lo >> np.uint64(8) == _LOCAL_NETWORK)


@inner_plain
def asks_for_neighbour(r: Any) -> bool:
    """Return whether a record is a neighbour solicitation (RFC 4861, 4.3) that wants an answer.

    Who has no address yet asks whether anybody has one: silence is what it wants (RFC 4862, 5.4).
    """
    if r.ip_version != 6 or r.icmp_type != SOLICITATION:
        return False
    return bool(r.src_hi != 0 or r.src_lo != 0)


@inner_plain
def tells_of_neighbour(r: Any) -> bool:
    """Return whether a record is a neighbour advertisement to one station (RFC 4861, 4.4)."""
    if r.ip_version != 6 or r.icmp_type != ADVERTISEMENT:
        return False
    return bool(r.dst_hi >> np.uint64(56) != 0xFF)


@inner_plain
def is_nameless(r: Any) -> bool:
    """Return whether the packet of a record was sent from the unspecified address."""
    unspecified = np.uint64(V4_PREFIX) if r.ip_version == 4 else np.uint64(0)
    return bool(r.ip_version > 0 and r.src_hi == 0 and r.src_lo == unspecified)


def tell_senders(batch: ObservationBatch, packet: Keys) -> None:
    """Mix the sender's MAC into `packet` (uint64, shape (rows,)) where no address names it.

    A row that shows no MAC (raw IP, text without the link) is of the one sender whose MAC other
    rows of equal packets show; where those are several, it stays apart from them.
    """
    p = batch.packets
    unspecified = np.where(p["ip_version"] == 4, V4_PREFIX, 0)
    rows = np.flatnonzero((p["src_hi"] == 0) & (p["src_lo"] == unspecified) & (p["ip_version"] > 0))
    macs = p["src_mac"][rows]
    macs[_is_of_carrier(batch)[rows]] = NULL_U64
    known = macs != NULL_U64
    codes, firsts = factorise(packet[rows])
    least, most = np.full(len(firsts), NULL_U64, np.uint64), np.zeros(len(firsts), np.uint64)
    np.minimum.at(least, codes[known], macs[known])
    np.maximum.at(most, codes[known], macs[known])
    macs = np.where(~known & (least == most)[codes], least[codes], macs)
    packet[rows] = mixed(packet[rows], macs)


def _is_of_carrier(batch: ObservationBatch) -> NDArray[np.bool_]:
    # Where a tunnel carries IP without a frame of its own, the MAC is that of the outer frame.
    tunnel = batch.sections["tunnel"]
    out = np.zeros(len(batch), np.bool_)
    out[tunnel["row"]] = tunnel["outer_src_mac"] == batch.packets["src_mac"][tunnel["row"]]
    return out


@inner_plain
def have_same_ends(a: Any, b: Any) -> bool:
    """Return whether two records have equal addresses."""
    src = a.src_hi == b.src_hi and a.src_lo == b.src_lo
    return bool(src and a.dst_hi == b.dst_hi and a.dst_lo == b.dst_lo)
