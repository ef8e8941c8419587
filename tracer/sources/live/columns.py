"""Events to columns in one pass: what `observations` fills in row by row, compiled.

Each function takes events (EVENT_DTYPE), the indices of some of them in order of time, and arrays
of nulls to write into.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Decode
from tracer.core.jit import jit, jit_plain
from tracer.core.mixing import GOLDEN
from tracer.sources.live.address_slots import slot_of
from tracer.sources.live.event_layout import Aux, Flag, Hook
from tracer.sources.live.untranslated import BEFORE

Rows = NDArray[np.int64]

_MPLS = int(Flag.MPLS)
_ETH, _VLAN, _VLAN_INNER = int(Flag.ETH), int(Flag.VLAN), int(Flag.VLAN_INNER)
_IP, _IP_ID, _L4, _ECHO = int(Flag.IP), int(Flag.IP_ID), int(Flag.L4), int(Flag.ECHO)
_TCP, _TCP_TS, _TRUNCATED = int(Flag.TCP), int(Flag.TCP_TS), int(Flag.TRUNCATED)
_CT, _DEV, _REASON = int(Flag.CT), int(Flag.DEV), int(Flag.REASON)
_HOOK_NAT, _HOOK_KFREE, _HOOK_ROUTE = int(Hook.NAT), int(Hook.KFREE), int(Hook.ROUTE)
_AUX_ROUTE = int(Aux.ROUTE)
_CUT = int(Decode.TRUNCATED)


@jit_plain
def fill_packets(events: Any, rows: Rows, packets: Any) -> None:
    """Write the packet columns of the events at `rows`, one record each."""
    for i in range(len(rows)):
        e, p = events[rows[i]], packets[i]
        flags = np.int64(e.flags)
        p.wire_len = e.wire_len
        p.ethertype = e.ethertype
        if flags & _ETH:
            p.src_mac = e.src_mac
            p.dst_mac = e.dst_mac
        if flags & _VLAN:
            p.vlan = e.vlan
        if flags & _VLAN_INNER:
            p.vlan_inner = e.vlan_inner
        if flags & _MPLS:
            p.mpls_label = e.mpls_label
        if e.gso_size > 0:
            p.gso_size = e.gso_size
        if flags & _TRUNCATED:
            p.decode = _CUT
        if flags & _IP:
            _network(e, p, flags)
        if flags & _L4:
            _transport(e, p, flags)


@jit_plain
def _network(e: Any, p: Any, flags: Any) -> None:
    p.src_hi, p.src_lo = e.src_hi, e.src_lo
    p.dst_hi, p.dst_lo = e.dst_hi, e.dst_lo
    p.ttl, p.tos, p.proto = e.ttl, e.tos, e.proto
    p.ip_len, p.ip_version = e.ip_len, e.ip_version
    if flags & _IP_ID:
        p.ip_id = e.ip_id
    if e.ip_version == 6:
        p.flow_label = e.flow_label
    # RFC 791 3.1: three flag bits, then the offset in units of 8 bytes.
    if e.ip_version == 4:
        p.df = e.frag >> 14 & 1
    if e.ip_version == 4 or flags & _IP_ID:
        p.more_fragments = e.frag >> 13 & 1
        p.frag_offset = (e.frag & 0x1FFF) * 8


@jit_plain
def _transport(e: Any, p: Any, flags: Any) -> None:
    p.payload_len = e.payload_len
    if e.proto == 6 or e.proto == 17 or e.proto == 132:
        p.sport, p.dport = e.sport, e.dport
    elif e.proto == 1 or e.proto == 58:
        p.icmp_type, p.icmp_code = e.icmp_type, e.icmp_code
    if flags & _ECHO:
        p.icmp_id, p.icmp_seq = e.icmp_id, e.icmp_seq
    if flags & _TCP:
        p.tcp_seq, p.tcp_ack = e.tcp_seq, e.tcp_ack
        p.tcp_flags, p.tcp_window = e.tcp_flags, e.tcp_window
    if flags & _TCP_TS:
        p.tcp_tsval, p.tcp_tsecr = e.tcp_tsval, e.tcp_tsecr


@jit_plain
def fill_kernel(events: Any, rows: Rows, kernel: Any) -> None:
    """Write the kernel columns of the events at `rows`, one record each; routes come after."""
    for i in range(len(rows)):
        e, k = events[rows[i]], kernel[i]
        flags = np.int64(e.flags)
        k.row, k.skb, k.cpu = i, e.skb, e.cpu
        if _nat_hook(e) < BEFORE:  # rules of the same chain may set it
            k.mark = e.mark
        if flags & _DEV:
            k.ifindex = e.ifindex
        if flags & _CT:
            _tuples(e, k)
        if e.hook == _HOOK_KFREE and flags & _REASON:
            k.drop_reason, k.drop_location = e.drop_reason, e.location


@jit_plain
def _tuples(e: Any, k: Any) -> None:
    k.ct_status, k.ct_zone = e.ct_status, e.ct_zone
    k.ct_original_src_hi, k.ct_original_src_lo = e.ct_original_src_hi, e.ct_original_src_lo
    k.ct_original_dst_hi, k.ct_original_dst_lo = e.ct_original_dst_hi, e.ct_original_dst_lo
    k.ct_original_sport, k.ct_original_dport = e.ct_original_sport, e.ct_original_dport
    k.ct_reply_src_hi, k.ct_reply_src_lo = e.ct_reply_src_hi, e.ct_reply_src_lo
    k.ct_reply_dst_hi, k.ct_reply_dst_lo = e.ct_reply_dst_hi, e.ct_reply_dst_lo
    k.ct_reply_sport, k.ct_reply_dport = e.ct_reply_sport, e.ct_reply_dport


@jit
def note_routes(events: Any, order: Rows, rows: Rows, kernel: Any, window_ns: int) -> None:
    """Write each routing decision onto the observation of the same buffer before it.

    `order`: events by time; `rows`: those of it that are observations.
    What was asked for a packet that this host itself sends (an ICMP error about this one) has the
    loopback device as its input; a table without an answer never replaces one with an answer.
    """
    size = 16
    while size < 2 * len(rows):
        size *= 2
    keys, last = np.zeros(size, np.uint64), np.full(size, -1, np.int64)
    row = 0
    for i in order:
        e = events[i]
        seen = row < len(rows) and rows[row] == i
        row += seen
        if e.skb == 0 or not (seen or e.hook == _HOOK_ROUTE):
            continue
        at = slot_of(keys, e.skb)
        if seen:
            keys[at], last[at] = e.skb, row - 1
        elif keys[at] == e.skb and e.aux == _AUX_ROUTE:
            before = rows[last[at]]
            own = e.route_iif == 1 and events[before].ifindex != 1
            after_ns = np.int64(e.time_ns) - np.int64(events[before].time_ns)
            if 0 <= after_ns <= window_ns and not own:
                _write_route(e, kernel[last[at]])


@jit_plain
def _write_route(e: Any, k: Any) -> None:
    if e.route_error != 0 and k.route_error == 0:
        return
    k.route_table, k.route_error = e.route_table, e.route_error
    k.route_oif = e.route_oif if e.route_oif > 0 else -1
    if e.route_gateway_hi != 0 or e.route_gateway_lo != 0:
        k.route_gateway_hi, k.route_gateway_lo = e.route_gateway_hi, e.route_gateway_lo


@jit
def point_codes(events: Any, rows: Rows, codes: Any) -> Rows:
    """Fill `codes` with the point of each event at `rows`, counted from 0.

    A point is namespace, device by number and name, hook and NAT hook. Returns an event of each,
    shape (points,).
    """
    size = 4096
    table = np.full(size, -1, np.int64)
    first = np.empty(size // 2, np.int64)
    count = 0
    for i in range(len(rows)):
        e = events[rows[i]]
        at = np.int64((_place(e) * GOLDEN) >> np.uint64(33)) & (size - 1)
        while table[at] >= 0 and not _same_point(events[first[table[at]]], e):
            at = (at + 1) & (size - 1)
        if table[at] < 0:
            if count == len(first):  # the table is half full
                size, table, first = _larger(events, table, first)
                at = np.int64((_place(e) * GOLDEN) >> np.uint64(33)) & (size - 1)
                while table[at] >= 0:
                    at = (at + 1) & (size - 1)
            table[at], first[count] = count, rows[i]
            count += 1
        codes[i] = table[at]
    return first[:count]


@jit
def _larger(events: Any, table: Rows, first: Rows) -> Any:
    size = 2 * len(table)
    wider, more = np.full(size, -1, np.int64), np.empty(size // 2, np.int64)
    for code in range(len(first)):
        more[code] = first[code]
        at = np.int64((_place(events[first[code]]) * GOLDEN) >> np.uint64(33)) & (size - 1)
        while wider[at] >= 0:
            at = (at + 1) & (size - 1)
        wider[at] = code
    return size, wider, more


@jit_plain
def _nat_hook(e: Any) -> Any:
    return np.int64(e.nat_hook) if e.hook == _HOOK_NAT else 0


@jit_plain
def _place(e: Any) -> Any:
    device = np.uint64(0)
    if e.hook != _HOOK_NAT:  # all of the name counts, though the highest bits are shifted out below
        name = (np.uint64(e.ifindex) ^ e.dev_name_head) * GOLDEN ^ e.dev_name_tail
        device = (name * GOLDEN) >> np.uint64(8)
    number = np.uint64(e.netns) * np.uint64(0x100000001B3) + device
    return number * np.uint64(256) + np.uint64(e.hook) * np.uint64(16) + np.uint64(_nat_hook(e))


@jit_plain
def _same_point(a: Any, b: Any) -> Any:
    if a.netns != b.netns or a.hook != b.hook or _nat_hook(a) != _nat_hook(b):
        return False
    return a.hook == _HOOK_NAT or (
        a.ifindex == b.ifindex
        and a.dev_name_head == b.dev_name_head
        and a.dev_name_tail == b.dev_name_tail
    )
