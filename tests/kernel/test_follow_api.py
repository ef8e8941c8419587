"""`tracer.follow` in Python against the number of packets sent."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from routed import Routed, routed

import tracer

pytestmark = pytest.mark.kernel
ID, SENT = 30_011, 23
WAY = ["c0", "r0", None, "r1", "s0"]  # None: the router's POSTROUTING hook, before NAT


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("api") as built:
        built.ping()
        yield built


def ping(net: Routed, options: str) -> list[str]:
    return f"ip netns exec {net.client} ping -i0.01 -W1 -e {ID} {options} 10.7.2.2".split()


def test_every_packet_sent_inside_the_context_is_a_journey(net: Routed) -> None:
    with tracer.follow(icmp_id=ID, count=SENT, duration=60) as journeys:
        subprocess.run(ping(net, f"-c{SENT}"), check=True, capture_output=True)
        found = list(journeys)
    assert [journey.journey for journey in found] == list(range(1, 2 * SENT + 1))
    requests = [journey for journey in found if journey.kind == "echo-request"]
    assert len(requests) == SENT
    assert {journey.outcome for journey in found} == {"delivered"}
    devices = [hop.observation.device for hop in requests[0].hops]
    assert [name for name in devices if name] == [name for name in WAY if name]
    changed = {each.field: each for hop in requests[0].hops for each in hop.changes}
    assert changed["src"].after == "10.7.2.1"
    assert journeys.summary["outcomes"] == {"delivered": 2 * SENT}
    assert journeys.summary["lost"] == {
        "ring_full": 0, "map_full": 0, "unreadable": 0, "hooks_skipped": 0,
    }  # fmt: skip
    assert list(journeys) == []


def test_sets_are_frames_and_a_recording_reads_back(net: Routed, tmp_path: Path) -> None:
    file = tmp_path / "seen.parquet"
    live = tracer.follow(icmp_id=ID, command=ping(net, "-c7"), write=file)
    parts = list(live.sets())
    assert live.exit_status == 0
    assert sum(len(part.journeys) for part in parts) == 14
    assert all(part.hops["time"].notna().all() for part in parts)
    back = tracer.read(file, icmp_id=ID)
    assert sorted(back.journeys["kind"]) == ["echo-reply"] * 7 + ["echo-request"] * 7
    path = back.path().query("way == 'request'")
    assert [name for name in path["device"].tolist() if isinstance(name, str)] == [
        name for name in WAY if name
    ]


def test_it_is_stopped_from_elsewhere(net: Routed) -> None:
    with tracer.follow(icmp_id=ID) as journeys:
        subprocess.run(ping(net, "-c1"), check=True, capture_output=True)
        first = next(journeys)
        threading.Timer(0.05, journeys.stop).start()
        rest = list(journeys)
    assert [each.kind for each in (first, *rest)] == ["echo-request", "echo-reply"]
    with pytest.raises(StopIteration):
        next(journeys)


def test_an_error_inside_leaves_nothing_attached(net: Routed) -> None:
    with pytest.raises(ZeroDivisionError), tracer.follow(icmp_id=ID) as journeys:
        1 / 0  # noqa: B018 -- it raises
    assert journeys.summary["journeys"] == 0
    assert list(journeys.attach()) == []


def test_a_command_that_cannot_be_run() -> None:
    with pytest.raises(tracer.HostError, match="no-such-command cannot be run"):
        next(tracer.follow(icmp_id=ID, command=["no-such-command"]))
