"""A flooded frame goes into a tunnel, and comes out of it, beside the device that frames show."""

from typing import Any

from made import START_NS, batch_of

from tracer.core.enums import Encap
from tracer.core.point import Point
from tracer.correlate.join import join

POINTS = [
    Point("node1", None, "tap1"), Point("node1", None, "tap3"), Point("node1", None, "vx0"),
    Point("node1", None, "eth0"), Point("node2", None, "eth0"), Point("node2", None, "vx0"),
    Point("node2", None, "tap2"),
]  # fmt: skip
OUTER = {"encap": Encap.VXLAN, "vni": 100, "outer_src": "192.0.2.1", "outer_dst": "192.0.2.2"}
STATION = "02:00:00:00:00:0"


def frames(way: list[int], number: int, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a frame at some of the points, one after the other; the wire between is a tunnel."""
    common = {"ip_version": 4, "ttl": 64, "ethertype": 0x0800, "ip_id": 100 + number} | values
    at = START_NS + 10_000_000 * number
    return [
        {"point": point, "time_ns": at + 3_000 * hop}
        | common
        | (OUTER if POINTS[point].device == "eth0" else {})
        for hop, point in enumerate(way)
    ]


def test_a_flood_goes_into_a_tunnel_beside_its_device() -> None:
    rows: list[dict[str, Any]] = []
    for number in range(8):
        way, ends = [0, 2, 3, 4, 5, 6], (1, 2)
        if number % 2:
            way, ends = way[::-1], ends[::-1]
        src, dst = ends
        macs = {"src_mac": f"{STATION}{src}", "dst_mac": f"{STATION}{dst}"}
        echo = {"proto": 1, "icmp_type": 8, "icmp_code": 0, "icmp_id": 9, "icmp_seq": number}
        ips = {"src": f"10.9.0.{src}", "dst": f"10.9.0.{dst}", "ip_len": 84}
        rows += frames(way, number, macs | echo | ips)
    for number in range(10, 13):
        macs = {"src_mac": f"{STATION}3", "dst_mac": "ff:ff:ff:ff:ff:ff"}
        udp = {"proto": 17, "sport": 5000, "dport": 5555, "ip_len": 88, "payload_len": 60}
        ips = {"src": "10.9.0.3", "dst": "10.9.0.255", "payload_digest": 1000 + number}
        rows += frames([1, 0, 2, 3, 4, 5, 6], number, macs | udp | ips)
    batch = batch_of(sorted(rows, key=lambda row: row["point"]), POINTS)

    found = join(batch)

    floods = [journey for journey in found.journeys if journey["proto"] == 17]
    assert len(floods) == 3
    for journey in floods:
        hops = found.hops[journey["first_hop"] :][: journey["n_hops"]]
        assert batch.packets["point"][hops["row"]].tolist() == [1, 0, 2, 3, 4, 5, 6]
        assert hops["parent"].tolist() == [0, 1, 1, 3, 4, 5, 6]
