"""Names of devices and namespaces, live, on both engines: those of the moment at which a packet
was seen.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from follower import (
    Follower,
    Journey,
    own,
    pinged,
    stop_together,
    together,
    wait_for_ping,
)
from routed import Routed, routed, run

from tests.sources.live.test_namespaces import handed_on
from tracer.core.filter import FlowFilter
from tracer.core.values import observations_of
from tracer.sources.live.engine import Config, open_engine
from tracer.sources.live.session import Session

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
BEFORE, AFTER, LAST, ALONE = range(32_401, 32_405)
DEVICES = {BEFORE: "r1", AFTER: "uplink-of-the-r", LAST: "r1"}


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("nam") as built:
        built.ping()
        yield built


def rename(net: Routed, old: str, new: str) -> None:
    for words in (f"{old} down", f"{old} name {new}", f"{new} up"):
        run(f"ip -n {net.router} link set {words}")
    net.ping(options="-c1 -w10")  # it has its route and neighbours again


@pytest.fixture(scope="module")
def folder(net: Routed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything is done once, before the eyes of both engines."""
    folder = tmp_path_factory.mktemp("names")
    followers = together(
        Follower(folder, name, "--engine", name, "--host", "10.7.0.0/16") for name in ENGINES
    )
    try:
        net.ping(options=f"-c2 -e {BEFORE}")
        rename(net, DEVICES[BEFORE], DEVICES[AFTER])
        net.ping(options=f"-c2 -e {AFTER}")
        rename(net, DEVICES[AFTER], DEVICES[LAST])
        net.ping(options=f"-c2 -e {LAST}")
        wait_for_ping(followers, LAST, 2)
    finally:
        stop_together(followers)
    return folder


@pytest.fixture(params=ENGINES)
def journeys(request: pytest.FixtureRequest, net: Routed, folder: Path) -> list[Journey]:
    return own(folder, request.param, net.names)


@pytest.mark.parametrize("number", DEVICES)
def test_a_device_is_called_what_it_was_called_then(number: int, journeys: list[Journey]) -> None:
    found = [j for j in journeys if pinged(j, number)]
    assert len(found) == 2
    answers = {j["journey"]: j for j in journeys if j["kind"] == "echo-reply"}
    for asked in found:
        for journey in (asked, answers[asked["reply"]]):
            devices = {h["device"] for h in journey["hops"] if not h["hook"]}
            assert devices == {"c0", "r0", DEVICES[number], "s0"}
            assert journey["outcome"] == "delivered"


def ping_itself(name: str) -> None:
    run(f"ip -n {name} link set lo up")
    run(f"ip netns exec {name} ping -c1 -W5 -e {ALONE} 127.0.0.1")


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("engine", ENGINES)
def test_packets_have_the_name_of_the_namespace_that_they_were_in(
    engine: str, is_known: bool
) -> None:
    """Both had one number, and what is read of the first is read when the second is there."""
    old, new = (f"namesakes{os.getpid()}{end}" for end in ("", "-new"))
    with contextlib.ExitStack() as sessions:

        def look() -> Session:
            session = sessions.enter_context(
                Session(open_engine(engine, Config(FlowFilter(icmp_id=ALONE))))
            )
            session.attach()
            return session

        def begin(session: Session) -> None:
            if is_known:
                session.learn()
            ping_itself(old)

        session, _, inum = handed_on(old, new, look, begin)
        try:
            ping_itself(new)
            batch = session.rest()
        finally:
            run(f"ip netns del {new}")
    seen = observations_of(batch, np.arange(len(batch)))
    names = [o.netns for o in seen if o.icmp_type == 8 and o.hook is None]
    assert names == [old if is_known else f"netns:{inum}"] * 2 + [new] * 2
