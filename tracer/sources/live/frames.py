"""The bytes behind events as packets that can be written to a capture file.

The kernel keeps a VLAN tag beside the packet; it is put back in its place, as libpcap does. A
packet without a link header (at a netfilter hook, say) gets a cooked one that says so.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit_plain
from tracer.sources.live.event_layout import EVENT_SIZE, Flag
from tracer.sources.live.observations import EGRESS, plain_events
from tracer.sources.packet_recording.packets import Frames

ETHERNET, COOKED = 1, 113  # LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL
_ETH, _OUTER_ETH, _TUNNEL = int(Flag.ETH), int(Flag.OUTER_ETH), int(Flag.TUNNEL)
_VLAN, _VLAN_INNER, _OUTER_VLAN = int(Flag.VLAN), int(Flag.VLAN_INNER), int(Flag.OUTER_VLAN)
_COOKED_SIZE, _TAG_SIZE, _MOST_MORE = 16, 4, 16
_OUTGOING = 4  # PACKET_OUTGOING of <linux/if_packet.h>


def event_frames(events: NDArray[Any]) -> Frames:
    """Return the frames of events that have `snap` behind them, in the same order."""
    width = events.dtype.itemsize - EVENT_SIZE
    raw = np.ascontiguousarray(events).view(np.uint8).reshape(-1, events.dtype.itemsize)
    snaps = np.ascontiguousarray(raw[:, EVENT_SIZE:])
    plain = plain_events(events)
    out = np.zeros((len(events), width + _MOST_MORE), np.uint8)
    lengths = np.zeros(len(events), np.int64)
    linktypes = np.full(len(events), -1, np.int32)
    wire_len = np.zeros(len(events), np.int64)
    outgoing = np.isin(plain["hook"], EGRESS)
    _fill(plain, snaps, outgoing, out, lengths, linktypes, wire_len)
    present = np.arange(out.shape[1]) < lengths[:, None]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return Frames(out[present], offsets, linktypes, wire_len)


@jit_plain
def _fill(
    events: Any, snaps: Any, outgoing: Any, out: Any, lengths: Any, linktypes: Any, wire_len: Any
) -> None:
    for i in range(len(events)):
        e, snap, to = events[i], snaps[i], out[i]
        size: Any = min(np.int64(e.snap_len), len(snap))
        if size == 0:
            continue
        flags = np.int64(e.flags)
        has_link = flags & (_OUTER_ETH if flags & _TUNNEL else _ETH) != 0
        more = _tagged(e, flags, snap, size, to) if has_link else _cooked(e, outgoing[i], to)
        for k in range(12 if has_link and more else 0, size):
            to[k + more] = snap[k]
        lengths[i] = size + more
        linktypes[i] = ETHERNET if has_link else COOKED
        wire_len[i] = e.wire_len + more


@jit_plain
def _tagged(e: Any, flags: Any, snap: Any, size: int, to: Any) -> int:
    # Writes what comes before the tag, and the tag; returns the bytes it is longer by.
    if flags & _TUNNEL:
        known, tag = flags & _OUTER_VLAN != 0, np.int64(e.outer_vlan)
    else:
        known, tag = flags & _VLAN != 0, np.int64(e.vlan)
    inside = 0
    if size >= 14:
        for at in (12, 16):
            kind = np.int64(snap[at]) << 8 | np.int64(snap[at + 1]) if at + 2 <= size else 0
            if inside == (at - 12) // _TAG_SIZE and kind in (0x8100, 0x88A8):
                inside += 1
    wanted = 1 + (flags & _VLAN_INNER != 0) if known else 0
    if size < 14 or inside >= wanted:
        return 0
    for k in range(12):
        to[k] = snap[k]
    to[12], to[13] = 0x81, 0x00
    to[14], to[15] = tag >> 8, tag & 0xFF
    return _TAG_SIZE


@jit_plain
def _cooked(e: Any, outgoing: bool, to: Any) -> int:
    # struct sll_header: packet type, ARPHRD_NONE, no address, protocol.
    to[1] = _OUTGOING if outgoing else 0
    to[2], to[3] = 0xFF, 0xFE
    to[14], to[15] = e.ethertype >> 8, e.ethertype & 0xFF
    return _COOKED_SIZE
