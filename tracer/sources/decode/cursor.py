"""Where the decoder stands inside a packet, and how it stops.

The cursor is one record that every header function reads and writes: numba passes it by reference,
which keeps all of them to one signature and the whole decoder to one compilation each.
"""

from typing import Any

import numpy as np

from tracer.core.address import NULL_U64
from tracer.core.enums import Decode
from tracer.core.jit import inner_plain
from tracer.core.schema import PACKET_DTYPE

# Columns that speak of an IP header and the frame around it: inside a tunnel they are another's.
REPLACED = (
    *("src_hi", "src_lo", "dst_hi", "dst_lo", "src_mac", "dst_mac", "ip_id", "ip_len"),
    *("frag_offset", "flow_label", "sport", "dport", "ethertype", "vlan", "vlan_inner", "ttl"),
    *("tos", "proto", "ip_version", "df", "more_fragments"),
)
CURSOR_DTYPE = np.dtype(
    [
        ("position", "<i8"),  # of the next unread byte, as an offset into the data
        ("captured_end", "<i8"),  # first byte that was not captured or lies beyond the IP length
        ("wire_end", "<i8"),  # where the packet ends by its lengths, captured or not
        ("layer", "<i8"),  # what to read at `position` (one of the constants below)
        ("kind", "<i8"),  # EtherType or IP protocol of that layer, where it needs one
        ("continued", "<i8"),  # 1 where `wire_end` is a fragment's, and others hold what follows
        ("tags", "<i8"),  # VLAN tags passed since the Ethernet header
        ("tunnels", "<i8"),  # tunnel headers passed
        # What the last UDP header that seems to carry a tunnel carries: where it begins, 0 none,
        # its ends, as above, and how many tunnels are around it.
        ("datagram", "<i8"),
        ("datagram_tunnels", "<i8"),
        ("datagram_captured_end", "<i8"),
        ("datagram_wire_end", "<i8"),
        ("arp", "<i8"),  # 1 when the row has a record in that section
        ("quoted", "<i8"),
        ("direction", "<i8"),  # of this packet, from its link header; -1 unknown
        ("ifindex", "<i8"),  # of this packet, from its link header; -1 unknown
        ("hook", "<i8"),  # netfilter hook that logged it, an index into nflog.HOOKS; -1 none
        ("late", "<i8"),  # not 0 where its time is when it was read from the kernel (nflog.LATE)
        # What the row said before the last tunnel was entered (`tunnel.enter`).
        *((name, PACKET_DTYPE[name]) for name in REPLACED),
    ]
)

# Layers: what stands at `cursor.position`.
DONE = 0
ETHERNET = 1
ETHERTYPE = 2  # whatever `kind` says as an EtherType
MPLS = 3
PPP = 4
IP = 5  # IPv4 or IPv6 by the version nibble
IPV4 = 6
IPV6 = 7
ARP = 8
TRANSPORT = 9  # whatever `kind` says as an IP protocol
ICMP = 10
GRE = 11

# Decode's members as plain numbers: numba reads an enum's members slowly at compile time.
TRUNCATED = int(Decode.TRUNCATED)
UNKNOWN_PROTOCOL = int(Decode.UNKNOWN_PROTOCOL)
MALFORMED = int(Decode.MALFORMED)
NOT_IP = int(Decode.NOT_IP)
NULL_MAC = np.uint64(NULL_U64)


@inner_plain
def stop(row: Any, reason: int) -> None:
    """Note why decoding ended; the first reason given stands."""
    if row.decode == 0:
        row.decode = reason


@inner_plain
def has(row: Any, cursor: Any, end: int) -> bool:
    """Return whether all bytes before offset `end` are there; else note what ended too early.

    A header cut by the capture length is truncated, and so one that goes on in the next fragment;
    one cut by the packet's own length is malformed.
    (An offset, not a length: for each literal length numba would compile this again.)
    """
    if end <= cursor.captured_end:
        return True
    short = end > cursor.wire_end and cursor.continued == 0
    stop(row, MALFORMED if short else TRUNCATED)
    return False


@inner_plain
def enter_frame(row: Any, cursor: Any) -> None:
    """Forget the Ethernet header read before: the row's is the one before the innermost IP."""
    row.src_mac = NULL_MAC
    row.dst_mac = NULL_MAC
    row.vlan = -1
    row.vlan_inner = -1
    row.ethertype = -1
    cursor.tags = 0
    cursor.layer = ETHERNET


@inner_plain
def enter_next(row: Any, cursor: Any, kind: int) -> None:
    """Go on by a next protocol as VXLAN-GPE and NSH number it (RFC 8300, 12.2.4)."""
    cursor.layer = ETHERTYPE
    if kind == 1:
        cursor.kind = 0x0800
    elif kind == 2:
        cursor.kind = 0x86DD
    elif kind == 3:
        enter_frame(row, cursor)
    elif kind == 4:
        cursor.kind = 0x894F
    elif kind == 5:
        cursor.kind = 0x8847
    else:
        cursor.layer = DONE
        stop(row, UNKNOWN_PROTOCOL)
