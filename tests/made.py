"""Makes observation batches and journey sets by hand, a call each, for tests of what is shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.core.address import encode_ip, encode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Cause, Encap, Evidence, Kind, Outcome
from tracer.core.journeys import FLOW_DTYPE, HOP_DTYPE, JOURNEY_DTYPE, NO_TIME, JourneySet
from tracer.core.point import Direction, Point
from tracer.core.schema import BY_NAME, PACKET_DTYPE, SECTION_DTYPES, SECTIONS, null_record

ROUTER = "b6a86b9f-6cf4-4ec3-a57a-00ce3e49142d"
NETWORK = "e7cb8424-51e4-429a-8020-76e651877db3"
OUT, IN = Direction.EGRESS, Direction.INGRESS
POINTS = (
    Point("compute03", "vm", "ens3"),
    Point("compute03", f"qrouter-{ROUTER}", "qr-1f6b0aa3-3d"),
    Point("compute03", f"qrouter-{ROUTER}", "rfp-b6a86b9f-6"),
    Point("compute03", f"fip-{NETWORK}", "fpr-b6a86b9f-6"),
    Point("compute03", f"fip-{NETWORK}", "fg-2417e6fb-ee"),
    Point("compute03", None, "enp175s0f1"),
)
VM_MAC, QR_MAC = "fa:16:3e:a4:58:8d", "fa:16:3e:ff:d5:8b"
RFP_MAC, FPR_MAC = "56:fe:b9:c3:13:1c", "1a:cb:46:80:fd:cd"
FG_MAC, GATEWAY_MAC = "fa:16:3e:23:e6:31", "00:1e:08:0e:bc:45"
START_NS = 1_715_333_344_123_456_000  # 2024-05-10 09:29:04.123456 UTC


def batch_of(rows: Sequence[dict[str, Any]], points: Sequence[Point] = POINTS) -> ObservationBatch:
    """Return a batch of packets given by public columns; `point` indexes the points."""
    packets = np.repeat(null_record(PACKET_DTYPE), len(rows))
    sections = {name: np.empty(0, dtype) for name, dtype in SECTION_DTYPES.items()}
    captures = tuple(f"{point.name}.pcap" for point in points)
    for row, values in enumerate(rows):
        packets[row]["frame"] = row + 1
        packets[row]["capture"] = values.get("point", -1)
        _fill(packets[row : row + 1], values)
        for name, columns in SECTIONS.items():
            if any(column.name in values for column in columns):
                record = null_record(SECTION_DTYPES[name])
                record["row"] = row
                _fill(record, values)
                sections[name] = np.concatenate([sections[name], record])
    return ObservationBatch(packets, sections, tuple(points), captures)


def _fill(record: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        column = BY_NAME[name]
        if column.kind == "ip" and f"{name}_hi" in record.dtype.names:
            record[f"{name}_hi"], record[f"{name}_lo"] = encode_ip(value)
        elif name in record.dtype.names:
            record[name] = encode_mac(value) if column.kind == "mac" else value


def journey_set_of(
    batch: ObservationBatch, journeys: Sequence[dict[str, Any]], **parts: Any
) -> JourneySet:
    """Return a set of journeys, each given by `rows`, fields of JOURNEY_DTYPE, and lists of a value
    per hop for `cause`, `evidence`, `candidates`, `confidence`, `direction`, `parent`.
    """  # fmt: skip
    records = np.zeros(len(journeys), JOURNEY_DTYPE)
    for name in ("flow", "outcome_point", "reason", "reply", "request", "quotes"):
        records[name] = -1
    records["retransmission_of"] = -1
    hops: list[Any] = []
    for number, journey in enumerate(journeys):
        own = _hops(batch, number, journey)
        record = records[number]
        record["first_hop"], record["n_hops"] = len(hops), len(own)
        record["first_ns"], record["last_ns"] = own["time_ns"].min(), own["time_ns"].max()
        record["proto"] = batch.packets["proto"][journey["rows"][0]]
        record["outcome"] = Outcome.DELIVERED
        for name in set(journey) & set(JOURNEY_DTYPE.names or ()):
            record[name] = journey[name]
        hops.extend(own)
    parts.setdefault("flows", np.zeros(0, FLOW_DTYPE))
    return JourneySet(batch, np.array(hops, HOP_DTYPE), records, **parts)


def _hops(batch: ObservationBatch, number: int, journey: dict[str, Any]) -> Any:
    rows = np.array(journey["rows"])
    count = len(rows)
    hops = np.zeros(count, HOP_DTYPE)
    hops["journey"], hops["row"], hops["n"] = number, rows, np.arange(1, count + 1)
    hops["time_ns"] = batch.packets["time_ns"][rows]
    hops["parent"] = np.arange(count)
    hops["candidates"] = [-1, *[1] * (count - 1)]
    hops["confidence"] = [np.nan, *[1.0] * (count - 1)]
    hops["evidence"] = [Evidence.NONE, *[Evidence.FINGERPRINT] * (count - 1)]
    hops["direction"] = Direction.UNKNOWN
    for name in ("cause", "evidence", "candidates", "confidence", "direction", "parent"):
        if name in journey:
            hops[name] = journey[name]
    hops["delta_ns"] = NO_TIME
    for hop in hops[1:]:
        if hop["parent"]:
            hop["delta_ns"] = hop["time_ns"] - hops["time_ns"][hop["parent"] - 1]
    return hops


def floating_ip_rows(request_us: Sequence[int] = (0, 12, 43, 44, 58, 61)) -> list[dict[str, Any]]:
    """Return rows of an echo request VM → NIC and its reply NIC → VM through a floating IP."""
    common = {"proto": 1, "ip_version": 4, "ip_len": 84, "icmp_code": 0, "icmp_seq": 16434,
              "ethertype": 0x0800, "cap_len": 98, "wire_len": 98, "payload_len": 56,
              "payload_digest": 0xABCDEF, "tos": 0, "df": 1, "frag_offset": 0}  # fmt: skip
    tenant = {"src": "192.168.3.69", "dst": "100.121.0.75", "icmp_id": 22344}
    outside = {"src": "100.122.0.145", "dst": "100.121.0.75", "icmp_id": 36215}
    macs = ((VM_MAC, QR_MAC), (VM_MAC, QR_MAC), (RFP_MAC, FPR_MAC), (RFP_MAC, FPR_MAC),
            (FG_MAC, GATEWAY_MAC), (FG_MAC, GATEWAY_MAC))  # fmt: skip
    rows = []
    for point, (us, ttl) in enumerate(zip(request_us, (64, 64, 63, 63, 62, 62), strict=True)):
        side = tenant if point < 2 else outside
        rows.append(common | side | {
            "point": point, "time_ns": START_NS + us * 1000, "ttl": ttl, "ip_id": 34720,
            "icmp_type": 8, "src_mac": macs[point][0], "dst_mac": macs[point][1],
        })  # fmt: skip
    rows[5]["vlan"] = 20
    for step, point in enumerate((5, 4, 3, 2, 1, 0)):
        side = tenant if point < 2 else outside
        rows.append(common | {
            "point": point, "time_ns": START_NS + 380_250 + step * 11_000,
            "ttl": (63, 63, 62, 62, 61, 61)[step], "ip_id": 4711, "icmp_type": 0, "df": 0,
            "src": side["dst"], "dst": side["src"], "icmp_id": side["icmp_id"],
            "src_mac": macs[point][1], "dst_mac": macs[point][0],
        })  # fmt: skip
    rows[6]["vlan"] = 20
    return rows


def floating_ip() -> JourneySet:
    """Return one exchange: ping 22344 from 192.168.3.69, seen at six points both ways."""
    request = {
        "rows": list(range(6)), "kind": Kind.ECHO_REQUEST, "flow": 0, "reply": 1,
        "outcome_point": 5, "direction": [OUT, IN, OUT, IN, OUT, OUT],
        "cause": [0, Cause.BRIDGED, Cause.SNAT, Cause.BRIDGED, Cause.FORWARDED, Cause.BRIDGED],
        "evidence": [0, Evidence.FINGERPRINT, Evidence.CONNTRACK, *[Evidence.FINGERPRINT] * 3],
    }  # fmt: skip
    reply = {
        "rows": list(range(6, 12)), "kind": Kind.ECHO_REPLY, "flow": 0, "request": 0,
        "outcome_point": 0, "direction": [IN, IN, OUT, IN, OUT, IN],
        "cause": [0, Cause.BRIDGED, Cause.FORWARDED, Cause.BRIDGED, Cause.UN_SNAT, Cause.BRIDGED],
        "evidence": [0, *[Evidence.FINGERPRINT] * 3, Evidence.CONNTRACK, Evidence.FINGERPRINT],
    }  # fmt: skip
    return journey_set_of(batch_of(floating_ip_rows()), [request, reply])


def web() -> JourneySet:
    """Return what goes wrong around one connection: a SYN that vanishes and is sent again, a drop
    with the error it causes, a tunnel, an ARP exchange, and doubt about a hop.
    """  # fmt: skip
    tcp = {"proto": 6, "ip_version": 4, "src": "10.0.0.1", "dst": "10.0.9.9", "sport": 40000,
           "dport": 80, "tcp_seq": 1000, "tcp_ack": 0, "tcp_flags": 2, "payload_len": 0,
           "src_mac": VM_MAC, "dst_mac": QR_MAC}  # fmt: skip
    outer = {"encap": Encap.VXLAN, "vni": 77, "outer_src": "172.16.0.1", "outer_dst": "172.16.0.2"}
    error = {"proto": 1, "ip_version": 4, "icmp_type": 3, "icmp_code": 13, "src": "10.0.0.254",
             "dst": "10.0.0.1", "inner_src": "10.0.0.1", "inner_dst": "10.0.9.9",
             "inner_sport": 40000, "inner_dport": 80}  # fmt: skip
    arp = {"arp_sender_ip": "10.0.0.1", "arp_sender_mac": VM_MAC, "arp_target_ip": "10.0.0.254",
           "proto": -2, "src_mac": VM_MAC, "dst_mac": "ff:ff:ff:ff:ff:ff"}  # fmt: skip
    rows: list[dict[str, Any]] = [
        arp | {"point": 0, "arp_op": 1},
        arp | {"point": 1, "arp_op": 1},
        {"point": 1, "arp_op": 2, "arp_sender_ip": "10.0.0.254", "arp_sender_mac": QR_MAC,
         "arp_target_ip": "10.0.0.1", "proto": -2, "src_mac": QR_MAC, "dst_mac": VM_MAC},
        tcp | {"point": 0, "ttl": 64},
        tcp | {"point": 1, "ttl": 64},
        tcp | {"point": 0, "ttl": 64},
        tcp | {"point": 1, "ttl": 64},
        tcp | {"point": 2, "ttl": 63},
        tcp | outer | {"point": 5, "ttl": 63},
        error | {"point": 1, "ttl": 64},
        error | {"point": 0, "ttl": 64},
    ]  # fmt: skip
    for place, row in enumerate(rows):
        row["time_ns"] = START_NS + place * 1_000_500
    journeys = [
        {"rows": [0, 1], "kind": Kind.ARP_REQUEST, "proto": -2, "reply": 1, "outcome_point": 1},
        {"rows": [2], "kind": Kind.ARP_REPLY, "proto": -2, "request": 0,
         "outcome": Outcome.UNFINISHED, "outcome_point": 1},
        {"rows": [3, 4], "kind": Kind.TCP_SYN, "outcome": Outcome.VANISHED, "outcome_point": 1},
        {"rows": [5, 6, 7, 8], "kind": Kind.TCP_SYN, "outcome": Outcome.DROPPED, "reason": 0,
         "outcome_point": 5, "retransmission_of": 2, "ambiguous": 1, "duplicates": 2,
         "candidates": [-1, 1, 3, 1], "confidence": [np.nan, 1, 0.51, 1],
         "evidence": [0, Evidence.SKB, Evidence.SEQUENCE, Evidence.FINGERPRINT],
         "cause": [0, Cause.BRIDGED, Cause.FORWARDED, Cause.ENCAPSULATED]},
        {"rows": [9, 10], "kind": Kind.ICMP_ERROR, "quotes": 3, "outcome_point": 0},
    ]  # fmt: skip
    return journey_set_of(batch_of(rows), journeys, reasons=("NETFILTER_DROP",))
