"""What NAT makes of packets that this host itself sends: as they were before it, as events.

NAT on the way out is the first to see such a packet. It tells what the packet is and what it was,
and when; what it was is an observation of its own, at the same hook before NAT. Of an ICMP error
that is an event already.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit_plain
from tracer.sources.live.event_layout import EVENT_SIZE, Aux, Flag, Hook, NatHook
from tracer.sources.live.reader import together

EventArray = NDArray[Any]

#: Added to the `nat_hook` of an event that tells what a packet was before NAT at that hook.
BEFORE = int(NatHook.BEFORE)
_ECHO, _LINK = int(Flag.ECHO), int(Flag.ETH) | int(Flag.TUNNEL)
_PORTS = (6, 17, 132)


def with_untranslated(events: EventArray) -> EventArray:
    """Return the events, and behind them those of packets before the NAT that saw them first."""
    told = (events["hook"] == Hook.NAT) & (events["aux"] == Aux.NAT) & (events["before_ns"] != 0)
    if not told.any():
        return events
    earlier = events[told]
    earlier["time_ns"] = earlier["before_ns"]
    earlier["nat_hook"] += BEFORE
    for end in ("src", "dst"):
        for half in ("hi", "lo"):
            earlier[f"{end}_{half}"] = earlier[f"before_{end}_{half}"]
    ports = np.isin(earlier["proto"], _PORTS)
    for field, where in (
        ("sport", ports),
        ("dport", ports),
        ("icmp_id", (earlier["flags"] & _ECHO) != 0),
    ):
        np.copyto(earlier[field], earlier[f"before_{field}"], where=where)
    if earlier.dtype.itemsize > EVENT_SIZE:
        _restore_bytes(earlier)
    return together([events, earlier])


def _restore_bytes(events: EventArray) -> None:
    # In the bytes behind the events: addresses, ports, ids and the sum of the IPv4 header. Sums of
    # what is in it stay as NAT left them: whether they are complete yet is not known.
    raw = events.view(np.uint8).reshape(-1, events.dtype.itemsize)[:, EVENT_SIZE:]
    sizes = events["snap_len"].astype(np.int64)
    sizes[(events["flags"] & _LINK) != 0] = 0  # own packets have no link header yet
    ends = np.stack([events[name] for name in ("src_hi", "src_lo", "dst_hi", "dst_lo")], axis=1)
    proto = events["proto"].astype(np.int64)
    echo = (events["flags"] & _ECHO) != 0
    numbers = np.full((len(events), 2), -1, np.int64)
    numbers[echo, 0] = events["icmp_id"][echo]
    for column, name in enumerate(("sport", "dport")):
        numbers[:, column] = np.where(np.isin(proto, _PORTS), events[name], numbers[:, column])
    _restore(raw, sizes, ends, numbers, proto)
    events["snap_len"] = sizes


@jit_plain
def _restore(raw: Any, sizes: Any, ends: Any, numbers: Any, protos: Any) -> None:
    # Sizes become 0 where the bytes are laid out otherwise.
    for i in range(len(sizes)):
        frame, size = raw[i], sizes[i]
        start = _addresses(frame, size, ends[i], protos[i])
        if start == 0:
            sizes[i] = 0
            continue
        at = start if numbers[i, 1] >= 0 else start + 4  # an echo's id comes after the checksum
        for column in range(2):
            if numbers[i, column] >= 0 and at + 2 <= size:
                _put(frame, at, np.uint64(numbers[i, column]), 2)
            at += 2


@inner_plain
def _addresses(frame: Any, size: int, ends: Any, proto: int) -> Any:
    # Writes them; returns where the transport header begins, 0 where that is not known.
    version = frame[0] >> 4 if size >= 40 or (size >= 20 and frame[0] >> 4 == 4) else 0
    if version == 4:
        start = np.int64(frame[0] & 15) * 4
        _put(frame, 12, ends[1], 4)
        _put(frame, 16, ends[3], 4)
        _put(frame, 10, np.uint64(_header_sum(frame, start)), 2)
        return start
    if version == 6 and frame[6] == proto:
        for half in range(4):
            _put(frame, 8 + 8 * half, ends[half], 8)
        return 40
    return 0


@inner_plain
def _put(frame: Any, at: int, value: Any, size: int) -> None:
    for k in range(size):
        frame[at + k] = value >> np.uint64(8 * (size - 1 - k)) & np.uint64(0xFF)


@inner_plain
def _header_sum(frame: Any, size: Any) -> Any:
    # RFC 1071, the field itself taken as 0.
    total: Any = 0
    for at in range(0, size, 2):
        if at != 10:
            total += np.int64(frame[at]) << 8 | np.int64(frame[at + 1])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
