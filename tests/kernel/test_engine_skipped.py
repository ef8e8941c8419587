"""What the kernel does not show an engine, for an interrupt came while the hook was at work.

One CPU frees what nobody read from Unix sockets; another sends it packets, by interrupt, that
nobody listens for. Each of them is freed, too, and each of those the engine shows or counts.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.kernel.routed import Routed, run
from tracer.core.filter import FlowFilter
from tracer.sources.live.engine import Engine, EventArray
from tracer.sources.live.event_layout import Hook

pytestmark = pytest.mark.kernel
PORT, SENT = 7654, 1000
FREE = """
import socket
print("at work", flush=True)
while True:
    left, right = socket.socketpair(type=socket.SOCK_DGRAM)
    for _ in range(10):
        left.send(b"x")
    right.close()
    left.close()
"""


@pytest.fixture
def busy(net: Routed, require_kernel: Callable[[bool, str], None]) -> Iterator[None]:
    """The last CPU takes what arrives at the server, and frees other buffers meanwhile."""
    last = max(os.sched_getaffinity(0))
    require_kernel(last > 0, "an interrupt from another CPU needs another CPU")
    queue = "/sys/class/net/s0/queues/rx-0/rps_cpus"
    run(f"ip netns exec {net.server} sh -c 'echo {1 << last:x} > {queue}'")
    words = ["taskset", "-c", str(last), sys.executable, "-c", FREE]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as freeing:
        try:
            assert freeing.stdout is not None
            freeing.stdout.readline()
            yield
        finally:
            freeing.kill()
            run(f"ip netns exec {net.server} sh -c 'echo 0 > {queue}'")


def send(net: Routed) -> None:
    script = f"""
import socket, time
with socket.socket(type=socket.SOCK_DGRAM) as one:
    for number in range({SENT}):
        one.sendto(number.to_bytes(2), ("10.7.2.2", {PORT}))
        time.sleep(0.0005)  # one interrupt each
"""
    run(f"ip netns exec {net.client} taskset -c 0 {sys.executable} -c '{script}'")


@pytest.mark.usefixtures("busy")
def test_every_drop_is_shown_or_counted(net: Routed, open_engine: Callable[..., Engine]) -> None:
    engine = open_engine(FlowFilter(port=(PORT,)))
    sent, drops, arrived = 0, 0, 0
    while not engine.stats().hooks_skipped and sent < 100 * SENT:
        send(net)
        sent += SENT
        while len(events := engine.drain(0.1)):
            arrived += count(net, events, Hook.RECEIVE)
            drops += count(net, events, Hook.KFREE)
    stats = engine.stats()
    assert arrived > 0.9 * sent
    assert 0 < arrived - drops <= stats.hooks_skipped
    assert stats.ring_full == stats.map_full == 0


def count(net: Routed, events: EventArray, hook: Hook) -> int:
    there = (events["netns"] == net.inum(net.server)) & (events["dport"] == PORT)
    return int(np.count_nonzero(there & (events["hook"] == hook) & (events["proto"] == 17)))
