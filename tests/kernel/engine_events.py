"""What tests of the engines do with events: drain them until something is there, and read them."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.kernel.routed import Routed
from tracer.core.address import decode_ip
from tracer.sources.live.engine import Engine
from tracer.sources.live.event_layout import Hook
from tracer.sources.live.observations import device_name

# A program: a datagram to a port where nobody listens, which an ICMP error answers.
UDP_TO_NOBODY = (
    'import socket; s=socket.socket(type=2); s.settimeout(1); s.connect(("10.7.2.2",9));'
    's.send(b"x"); s.recv(1)'
)


def drain_until(engine: Engine, done: Callable[[np.ndarray[Any, Any]], bool]) -> Any:
    """Drain until a condition on all events so far holds, five seconds at most."""
    events = engine.drain(0.05)
    deadline = time.monotonic() + 5
    while not done(events) and time.monotonic() < deadline:
        events = np.concatenate([events, engine.drain(0.05)])
    return events


def at(events: Any, hook: Hook) -> Any:
    return events[events["hook"] == hook]


def src(event: Any) -> str | None:
    return decode_ip(int(event["src_hi"]), int(event["src_lo"]))


def dst(event: Any) -> str | None:
    return decode_ip(int(event["dst_hi"]), int(event["dst_lo"]))


def crossed(net: Routed, events: Any) -> list[tuple[str, str, str]]:
    """(namespace, device, hook) of the events at devices, in the order of time."""
    short = {net.inum(n): n.rsplit("-", 1)[1] for n in vars_of(net)}
    devices = events[np.isin(events["hook"], (Hook.RECEIVE, Hook.XMIT))]
    return [
        (
            short[int(e["netns"])],
            device_name(e),
            Hook(int(e["hook"])).name,
        )
        for e in np.sort(devices, order="time_ns")
    ]


def vars_of(net: Routed) -> tuple[str, str, str]:
    return net.client, net.router, net.server


def echo_replied(events: Any) -> bool:
    """Whether the last hop of an answered ping is there: the client received the reply."""
    return len(at(events, Hook.KFREE)) > 0


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
