"""Redacted batches and journey sets, column by column."""

import numpy as np
from made import POINTS, batch_of, floating_ip, floating_ip_rows

from tracer.core.journeys import ClockEstimate, FlowPath, FlowPathHop, FlowPathJoin
from tracer.core.point import Point
from tracer.core.redaction.redactor import Redactor
from tracer.core.schema import COLUMNS
from tracer.core.warnings import InputWarning

KEY = b"a key of the tests"


def test_only_columns_that_name_somebody_change() -> None:
    rows = [*floating_ip_rows(), {"arp_op": 1, "arp_sender_ip": "10.0.0.1", "skb": 5,
                                  "payload_digest": 7, "drop_location": 9}]  # fmt: skip
    batch = batch_of(rows)
    redacted = Redactor(KEY).batch(batch)
    for column in COLUMNS:
        names = [f"{column.name}_{half}" for half in ("hi", "lo")]
        for name in names if column.kind == "ip" else [column.name]:
            before, after = batch.column(name), redacted.column(name)
            if column.kind not in ("ip", "mac", "digest"):
                assert np.array_equal(before, after), name
            elif name.endswith("_lo") and column.name in ("src", "arp_sender_ip"):
                assert not np.array_equal(before, after)
    assert not redacted.packets["payload_digest"].any()
    assert not redacted.column("drop_location").any()
    assert redacted.column("skb")[-1] not in (0, 5)
    assert batch.packets["payload_digest"][-1] == 7  # the given batch is as it was


def test_equal_stays_equal_and_different_different() -> None:
    batch = batch_of(floating_ip_rows())
    redacted = Redactor(KEY).batch(batch)
    for name in ("src_lo", "dst_lo", "src_mac", "dst_mac"):
        _, before = np.unique(batch.packets[name], return_inverse=True)
        pairs = set(zip(before.tolist(), redacted.packets[name].tolist(), strict=True))
        assert len(pairs) == len(set(before.tolist())) == len({value for _, value in pairs})


def test_the_same_key_the_same_pseudonyms() -> None:
    batch = batch_of(floating_ip_rows())
    one, again, other = (Redactor(key).batch(batch) for key in (KEY, KEY, b"another key"))
    assert np.array_equal(one.packets, again.packets)
    assert one.points == again.points != other.points
    part = Redactor(KEY).batch(batch.take(np.array([3])))
    assert part.packets[0] == one.packets[3]


def test_texts_of_a_journey_set() -> None:
    journey_set = floating_ip()
    point = POINTS[1]
    hop = FlowPathHop(1, 0, (0,), "request", 5, "inferred", "as 192.168.3.69 says",
                      src="192.168.3.69", src_mac="fa:16:3e:a4:58:8d")  # fmt: skip
    join = FlowPathJoin("192.168.3.69 → x", "y", "snat", "period", 1, f"at {point.device}")
    journey_set.flow_paths = (
        FlowPath("192.168.3.69 → 8.8.8.8", 1, (hop,), ("on compute03",), joins=(join,),
                 ambiguities=(f"in {point.netns}",)),
    )  # fmt: skip
    journey_set.clocks = (ClockEstimate("compute03", 5, 2, host="compute03"),)
    journey_set.reasons = ("dropped for 192.168.3.69",)
    journey_set.warnings = (InputWarning("same-file", "as secret.pcap", "secret.pcap"),)
    redactor = Redactor(KEY)
    redacted = redactor.journey_set(journey_set)
    shown = repr((redacted.flow_paths, redacted.clocks, redacted.reasons, redacted.warnings,
                  redacted.observations.points, redacted.observations.captures))  # fmt: skip
    secrets = ("192.168.3.69", "fa:16:3e", "compute03", "secret", "b6a86b9f", "8.8.8.8", "1f6b0aa3")
    assert [secret for secret in secrets if secret in shown] == []
    assert redacted.clocks[0].host == redacted.observations.points[0].host
    assert redacted.hops.tobytes() == journey_set.hops.tobytes()  # nan is not equal to itself
    assert np.array_equal(redacted.journeys, journey_set.journeys)


def test_points_keep_what_they_are() -> None:
    point = Point("h", hook="prerouting", clock="h", mac=5, capture="x.pcap#1")
    redacted = Redactor(KEY).point(point)
    assert redacted.hook == "prerouting"
    assert redacted.clock == redacted.host != "h"
    assert (redacted.capture or "").endswith(".pcap#1")
    assert Redactor(KEY).point(Point()) == Point()
