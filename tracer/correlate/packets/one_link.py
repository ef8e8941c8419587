"""Packets that never leave the link they were sent on, so that nobody translates their addresses.

Many of them are alike but for their addresses (neighbour discovery of two links at one time), which
then tell them apart.
"""

from typing import Any

import numpy as np

from tracer.core.address import V4_PREFIX
from tracer.core.jit import inner
from tracer.core.protocols import ICMPV6

_IGMP = 2
# MLD (RFC 2710, 3810), router and neighbour discovery (RFC 4861) with redirects, inverse discovery
# (RFC 3122), certification paths (RFC 3971), multicast router discovery (RFC 4286).
_TYPES = ((130, 137), (141, 143), (148, 149), (151, 153))
_BROADCAST = np.uint64(V4_PREFIX | 0xFFFFFFFF)
_LOCAL_NETWORK = np.uint64((V4_PREFIX | 0xE0000000) >> 8)  # 224.0.0.0/24, RFC 5771
_LINK_SCOPE = np.uint64(0xFF02)  # ffx2::/16 with any flags, RFC 4291
_SCOPE_BITS = np.uint64(0xFF0F)


@inner
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


@inner
def have_same_ends(a: Any, b: Any) -> bool:
    """Return whether two records have equal addresses."""
    src = a.src_hi == b.src_hi and a.src_lo == b.src_lo
    return bool(src and a.dst_hi == b.dst_hi and a.dst_lo == b.dst_lo)
