"""The part of the live benchmark behind the kernel: events to columns, columns to journeys."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.core.filter import FlowFilter
from tracer.sources.live.clock import Clock
from tracer.sources.live.event_layout import EVENT_DTYPE, EVENT_VERSION, Flag, Hook

_TIMES = 12
_RATE, _SECONDS = 200_000, 3
_HOPS = ((Hook.XMIT, 2), (Hook.RECEIVE, 3), (Hook.XMIT, 4), (Hook.RECEIVE, 5))
_NETNS = 0xF0000000
_CLIENT, _SERVER = 0xFFFF0A070102, 0xFFFF0A070202


class _Names:
    def netns(self, inum: int, time_ns: int) -> str | None:
        return f"ns{inum & 0xFF}"

    def turns(self, inums: Sequence[int], first_ns: int, last_ns: int) -> list[int]:
        return []


def decoded(engine: Any, send: Callable[[], float]) -> int:
    """Return the events a CPU second that are taken out of an engine's ring into columns.

    `send` makes some thousands of events; the fastest of several times counts.
    """
    from tracer.sources.live.observations import to_batch
    from tracer.sources.live.reuse import Reuse

    clock, names, reuse, best = Clock(), _Names(), Reuse(), 0.0
    for _ in range(_TIMES):
        send()
        start = time.process_time_ns()
        events = engine.drain()
        to_batch(events, clock.epoch_ns(events["time_ns"]), names, reuse=reuse)
        best = max(best, len(events) / (time.process_time_ns() - start))
    return round(best * 1e9)


def stream(count: int, start_ns: int, first: int) -> Any:
    """Return the events of `count` answered pings through a router, `_RATE` events a second."""
    each = 2 * len(_HOPS)
    events = np.zeros((count, each), EVENT_DTYPE)
    number = np.arange(first, first + count)
    events["version"], events["ip_version"], events["ethertype"] = EVENT_VERSION, 4, 0x0800
    flags = Flag.ETH | Flag.IP | Flag.L4 | Flag.ECHO | Flag.DEV | Flag.IP_ID
    events["flags"], events["proto"] = int(flags), 1
    events["wire_len"], events["ip_len"], events["payload_len"] = 98, 84, 56
    events["icmp_id"] = (number >> 16)[:, None] + 1
    events["icmp_seq"] = (number & 0xFFFF)[:, None]
    for way in (0, 1):
        for hop, (hook, device) in enumerate(_HOPS):
            at = events[:, way * len(_HOPS) + hop]
            at["hook"] = hook
            at["ifindex"] = device if not way else 7 - device
            at["netns"] = _NETNS + (at["ifindex"] - 1) // 2
            at["src_lo"], at["dst_lo"] = (_SERVER, _CLIENT) if way else (_CLIENT, _SERVER)
            at["icmp_type"] = 0 if way else 8
            at["ttl"] = 64 - (hop > 1)
            at["ip_id"] = (number * 2 + way) & 0xFFFF
            buffer = ((number * 2 + way) * 256 % (1 << 30)).astype(np.uint64)
            at["skb"] = at["head"] = buffer + np.uint64(0xFFFF888000000000)
    flat = events.reshape(-1)
    flat["time_ns"] = start_ns + np.arange(len(flat)) * 1_000_000_000 // _RATE
    return flat


def correlated() -> int:
    """Return the events a CPU second that following can join into journeys and loses none of.

    The stream comes as it would live, in pieces of 20 ms; its clock is the events' own. The first
    time round compiles.
    """
    _correlated()
    return _correlated()


def _correlated() -> int:
    from tracer.correlate.join import JoinOptions, join
    from tracer.correlate.select import select
    from tracer.correlate.windows.settling import Settling
    from tracer.sources.live.observations import to_batch

    piece_ns, pings = 20_000_000, _RATE // 50 // (2 * len(_HOPS))
    now, names, shown = [0], _Names(), 0
    settling = Settling(
        lambda batch, entries: join(
            batch, entries, JoinOptions(end_ns=now[0], settle_ns=500_000_000)
        ),
        1_000_000_000,
    )
    begin = time.time_ns()
    spent, next_join = 0.0, 0
    for piece in range(_SECONDS * 50):
        events = stream(pings, begin + piece * piece_ns, piece * pings)
        start = time.process_time()
        settling.push(to_batch(events, events["time_ns"].astype(np.int64), names))
        now[0] = begin + (piece + 1) * piece_ns
        if now[0] >= next_join:  # as often as `tracer follow` does (api/live_loop.py)
            joined = time.process_time()
            found = settling.take(now[0])
            if found is not None:
                shown += len(select(found, FlowFilter(proto=1)))
            took_ns = int((time.process_time() - joined) * 1e9)
            next_join = now[0] + max(piece_ns, 2 * took_ns)
        spent += time.process_time() - start
    start = time.process_time()
    found = settling.flush()
    shown += len(found.journeys) if found is not None else 0
    spent += time.process_time() - start
    expected = _SECONDS * 50 * pings * 2
    if shown != expected:
        raise RuntimeError(f"{shown} journeys of {expected} came out")
    return round(_SECONDS * _RATE / spent)
