"""ARP over Ethernet for IPv4 (RFC 826)."""

from typing import Any

import numpy as np

from tracer.core.address import V4_PREFIX
from tracer.core.jit import inner_plain
from tracer.sources.decode import cursor as at
from tracer.sources.decode.load import Bytes, be16, be32, be48

_ETHERNET_IPV4 = 0x0001_0800_0604  # hardware type, protocol type, both address lengths


@inner_plain
def arp(data: Bytes, row: Any, cursor: Any, record: Any) -> None:
    """Fill the `arp` record; of other address families only the operation is read."""
    start = cursor.position
    if not at.has(row, cursor, start + 8):
        return
    cursor.arp = 1
    record.arp_op = be16(data, start + 6)
    if be32(data, start) << 16 | be16(data, start + 4) != _ETHERNET_IPV4:
        at.stop(row, at.UNKNOWN_PROTOCOL)
        return
    captured = cursor.captured_end - start
    if captured >= 14:
        record.arp_sender_mac = be48(data, start + 8)
    if captured >= 18:
        record.arp_sender_ip_hi = np.uint64(0)
        record.arp_sender_ip_lo = np.uint64(V4_PREFIX | be32(data, start + 14))
    if captured >= 24:
        record.arp_target_mac = be48(data, start + 18)
    if at.has(row, cursor, start + 28):
        record.arp_target_ip_hi = np.uint64(0)
        record.arp_target_ip_lo = np.uint64(V4_PREFIX | be32(data, start + 24))
