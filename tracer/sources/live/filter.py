"""The user's filter as the kernel takes it: never narrower than the user's, sometimes wider."""

import struct
from typing import Any

from tracer.core.address import encode_network
from tracer.core.errors import TracerError
from tracer.core.filter import FlowFilter
from tracer.sources.live.event_layout import FILTER_ALTERNATIVES, FILTER_FIELDS, FILTER_SIZE, Term

_PROTO_ARP = 0xFFFE
_PORT_PROTOCOLS = (6, 17, 132)
_ICMP_PROTOCOLS = (1, 58)
_TUNNEL_PROTOCOLS = (4, 17, 41, 47)
_NETWORKS = {"host": Term.HOST, "src": Term.SRC, "dst": Term.DST}
_PORTS = {"port": Term.PORT, "sport": Term.SPORT, "dport": Term.DPORT}


def filter_bytes(flow: FlowFilter) -> bytes:
    """Return `struct filter` (FILTER_SIZE bytes) for a filter.

    A term with more alternatives than the kernel has room for is left out: it then takes
    everything, and user space has the last word. Raises TracerError for what is no address.
    """
    record: dict[str, Any] = {}
    terms = Term(0)
    if flow.icmp_id is not None:
        terms |= Term.ICMP_ID
        record["icmp_id"] = flow.icmp_id
    if flow.proto is not None:
        terms |= Term.PROTO
        record["proto"] = _PROTO_ARP if flow.proto < 0 else flow.proto
    for name, term in _NETWORKS.items():
        networks = getattr(flow, name)
        if 0 < len(networks) <= FILTER_ALTERNATIVES:
            terms |= term
            record[name] = [n for text in networks for n in _network(text)]
            record[f"{name}s"] = len(networks)
    for name, term in _PORTS.items():
        ports = getattr(flow, name)
        if 0 < len(ports) <= FILTER_ALTERNATIVES:
            terms |= term
            record[name] = ports
            record[f"{name}s"] = len(ports)
    record["terms"] = int(terms)
    return _packed(record)


def _packed(record: dict[str, Any]) -> bytes:
    raw = bytearray(FILTER_SIZE)
    for name, numpy_format, offset in FILTER_FIELDS:
        values = record.get(name, ())
        values = values if isinstance(values, list | tuple) else [values]
        letter = {"1": "B", "2": "H", "4": "I", "8": "Q"}[numpy_format[-1]]
        struct.pack_into(f"<{len(values)}{letter}", raw, offset, *values)
    return bytes(raw)


def _network(text: str) -> tuple[int, int, int, int]:
    try:
        (hi, lo), (mask_hi, mask_lo) = encode_network(text)
    except ValueError as error:
        raise TracerError(f"{error}.", "Give an address or a CIDR.") from None
    if lo >> 32 == 0xFFFF and hi == 0:  # a mapped IPv4 address: its prefix has to match too
        mask_hi, mask_lo = 0xFFFF_FFFF_FFFF_FFFF, mask_lo | 0xFFFF_FFFF_0000_0000
    return hi, lo, mask_hi, mask_lo


def protocol_mask(flow: FlowFilter, tunnels: bool) -> int:
    """Return the IP protocols that can matter, one bit for each number modulo 64.

    A packet of any other protocol is turned away by one shift. ICMP always matters: its errors
    speak of every flow.
    """
    wanted: set[int] = set()
    if flow.proto is not None and flow.proto >= 0:
        wanted = {flow.proto}
    elif flow.proto is not None:
        wanted = {0}  # ARP has no IP protocol; something must be left for the mask to be one
    elif flow.icmp_id is not None:
        wanted = set(_ICMP_PROTOCOLS)
    elif flow.port or flow.sport or flow.dport:
        wanted = set(_PORT_PROTOCOLS)
    if not wanted:
        return 0xFFFF_FFFF_FFFF_FFFF
    wanted |= set(_ICMP_PROTOCOLS)
    if tunnels:
        wanted |= set(_TUNNEL_PROTOCOLS)
    mask = 0
    for proto in wanted:
        mask |= 1 << (proto & 63)
    return mask
