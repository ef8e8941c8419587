"""The hash of a packet's tuple: its directional flow."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain
from tracer.core.mixing import mix
from tracer.core.protocols import SOLICITATION
from tracer.correlate.packets.one_link import (
    SOLICITED_BITS,
    asks_for_neighbour,
    tells_of_neighbour,
)


@inner_plain
def tuple_hash(
    src_hi: Any,
    src_lo: Any,
    dst_hi: Any,
    dst_lo: Any,
    proto: Any,
    sport: Any,
    dport: Any,
    ident: Any,
) -> Any:
    """Return the hash of one direction of a flow; absent ports and ids are -1."""
    h = mix(mix(np.uint64(77), np.uint64(proto)), src_hi)
    h = mix(mix(mix(h, src_lo), dst_hi), dst_lo)
    h = mix(h, np.uint64(sport) * np.uint64(65537) + np.uint64(dport))
    return mix(h, np.uint64(ident))


@inner_plain
def _neighbour_hash(r: Any, backwards: bool) -> Any:
    # From who asks to the address asked for, as far as the group that it goes to shows it.
    none, asks = np.int64(-1), r.icmp_type == SOLICITATION
    asker = (r.src_hi, r.src_lo) if asks else (r.dst_hi, r.dst_lo)
    asked = (np.uint64(0), (r.dst_lo if asks else r.src_lo) & SOLICITED_BITS)
    src, dst = (asker, asked) if asks != backwards else (asked, asker)
    ident = np.int64(-2 - SOLICITATION)
    return tuple_hash(src[0], src[1], dst[0], dst[1], r.proto, none, none, ident)


@inner_plain
def flow_hash(r: Any, backwards: bool) -> Any:
    """Return the hash of the flow that the packet of a record is of, or of what answers it.

    Solicitations and advertisements of one neighbour are both ways of one flow.
    """
    if r.icmp_type >= SOLICITATION and (asks_for_neighbour(r) or tells_of_neighbour(r)):
        return _neighbour_hash(r, backwards)
    ident = np.int64(r.icmp_id)
    if r.icmp_type >= 0 and ident < 0:
        ident = np.int64(-2) - np.int64(r.icmp_type)
    if backwards:
        return tuple_hash(r.dst_hi, r.dst_lo, r.src_hi, r.src_lo, r.proto, r.dport, r.sport, ident)
    return tuple_hash(r.src_hi, r.src_lo, r.dst_hi, r.dst_lo, r.proto, r.sport, r.dport, ident)
