"""Where the decoder stands inside a packet, and how it stops.

The cursor is one record that every header function reads and writes: numba passes it by reference,
which keeps all of them to one signature and the whole decoder to one compilation each.
"""

from typing import Any

import numpy as np

from tracer.core.address import NULL_U64
from tracer.core.enums import Decode
from tracer.sources.decode.jit import inner

CURSOR_DTYPE = np.dtype(
    [
        ("position", "<i8"),  # of the next unread byte, as an offset into the data
        ("captured_end", "<i8"),  # first byte that was not captured or lies beyond the IP length
        ("wire_end", "<i8"),  # where the packet ends by its lengths, captured or not
        ("layer", "<i8"),  # what to read at `position` (one of the constants below)
        ("kind", "<i8"),  # EtherType or IP protocol of that layer, where it needs one
        ("tags", "<i8"),  # VLAN tags passed since the Ethernet header
        ("tunnels", "<i8"),  # tunnel headers passed
        ("arp", "<i8"),  # 1 when the row has a record in that section
        ("quoted", "<i8"),
        ("direction", "<i8"),  # of this packet, from its link header; -1 unknown
        ("ifindex", "<i8"),  # of this packet, from its link header; -1 unknown
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


@inner
def stop(row: Any, reason: int) -> None:
    """Note why decoding ended; the first reason given stands."""
    if row.decode == 0:
        row.decode = reason


@inner
def has(row: Any, cursor: Any, length: int) -> bool:
    """Return whether `length` bytes stand at the cursor; else note whether capture or packet ended.

    A header cut by the capture length is truncated; one cut by the packet's own length malformed.
    """
    if cursor.position + length <= cursor.captured_end:
        return True
    short = cursor.position + length > cursor.wire_end
    stop(row, MALFORMED if short else TRUNCATED)
    return False


@inner
def enter_frame(row: Any, cursor: Any) -> None:
    """Forget the Ethernet header read before: the row's is the one before the innermost IP."""
    row.src_mac = NULL_MAC
    row.dst_mac = NULL_MAC
    row.vlan = -1
    row.vlan_inner = -1
    row.ethertype = -1
    cursor.tags = 0
    cursor.layer = ETHERNET
