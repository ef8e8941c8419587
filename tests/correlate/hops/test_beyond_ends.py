"""Places beyond both ends of the way between two stations are branches of it."""

from typing import Any

import pytest
from made import START_NS, batch_of

from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.correlate.join import join

MACS = "02:00:00:00:00:11", "02:00:00:00:00:12"
ENDS = "10.0.0.11", "10.0.0.12"


def pings(asked: list[str], answered: list[str], hosts: dict[str, str]) -> ObservationBatch:
    """Return pings between two stations, seen at devices in an order for each way."""
    names = sorted(asked)
    rows: list[dict[str, Any]] = []
    for number in range(6):
        for answer, way in enumerate((asked, answered)):
            at = START_NS + 10_000_000 * number + 100_000 * answer
            values = {
                "ip_version": 4, "proto": 1, "icmp_type": 0 if answer else 8, "icmp_code": 0,
                "icmp_id": 7, "icmp_seq": number, "ip_id": 100 + 2 * number + answer, "ttl": 64,
                "src": ENDS[answer], "dst": ENDS[1 - answer], "ethertype": 0x0800, "ip_len": 84,
                "src_mac": MACS[answer], "dst_mac": MACS[1 - answer],
            }  # fmt: skip
            rows += [
                {"point": names.index(name), "time_ns": at + 3_000 * hop} | values
                for hop, name in enumerate(way)
            ]
    points = [Point(hosts.get(name, "host"), None, name) for name in names]
    return batch_of(sorted(rows, key=lambda row: row["point"]), points)


def shown(batch: ObservationBatch) -> list[tuple[list[str], list[int], str]]:
    """Return each question's devices, their parents, and where it was delivered."""
    found = join(batch)
    names = [point.device for point in batch.points]
    out = []
    for journey in found.journeys:
        hops = found.hops[journey["first_hop"] :][: journey["n_hops"]]
        at = batch.packets["point"][hops["row"]]
        place = names[journey["outcome_point"]]
        out.append(([names[each] for each in at], hops["parent"].tolist(), place))
    return out


def test_a_bridge_that_is_captured_itself_is_a_branch() -> None:
    """It has its copy of a frame once the port that sends it has it."""
    hosts = {"eth0": "guest"}
    batch = pings(["eth0", "veth1", "veth2", "br0"], ["veth2", "veth1", "br0", "eth0"], hosts)

    ways = shown(batch)

    assert len(ways) == 12
    for asked, answered in zip(ways[::2], ways[1::2], strict=True):
        assert asked == (["eth0", "veth1", "veth2", "br0"], [0, 1, 2, 2], "veth2")
        assert answered == (["veth2", "veth1", "br0", "eth0"], [0, 1, 1, 2], "eth0")


@pytest.mark.parametrize(
    ("asked", "answered", "hosts"),
    [
        (["p1", "x", "y", "p2"], ["p2", "x", "y", "p1"], {}),  # a device that has an in and an out
        (["p1", "br0", "p2"], ["p2", "br0", "p1"], {}),
        (["p1", "p2", "q"], ["p2", "p1", "q"], {"q": "other"}),  # whose clock may be wrong
    ],
)
def test_what_may_lie_on_the_way_is_no_branch(
    asked: list[str], answered: list[str], hosts: dict[str, str]
) -> None:
    ways = shown(pings(asked, answered, hosts))
    assert all(parents == list(range(len(asked))) for _, parents, _ in ways)
