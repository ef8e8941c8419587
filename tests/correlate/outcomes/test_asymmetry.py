"""Answers that come back another way are found and named."""

from dataclasses import replace

import numpy as np
import pytest
from made import batch_of
from scenarios.catalogue import make

from tracer.core.enums import Outcome
from tracer.core.point import Direction, Point
from tracer.correlate.join import join
from tracer.correlate.outcomes.reasons import CAPTURE_EDGE


def test_answers_over_another_router_are_named() -> None:
    found = join(make("asymmetric", 3, 0.3).batch)
    answers = np.flatnonzero(found.journeys["request"] >= 0)
    texts = {found.reasons[n] for n in found.journeys["reason"][answers]}
    assert texts == {"came back over rfp1, qr1, not over qr0, rfp0"}


def test_answers_that_come_the_same_way_are_not() -> None:
    for name in ("snat_dvr", "capture_holes", "ecmp"):
        found = join(make(name, 3, 0.3).batch)
        assert not any("came back over" in text for text in found.reasons)


def test_devices_called_alike_are_told_apart_by_their_hosts() -> None:
    batch = make("asymmetric", 3, 0.3).batch
    batch.points = tuple(
        replace(point, host=f"host{device[-1]}", netns=None, device=device[:-1])
        if (device := point.device or "")[:-1] in ("qr", "rfp")  # of two routers
        else point
        for point in batch.points
    )
    found = join(batch)
    answers = np.flatnonzero(found.journeys["request"] >= 0)
    texts = {found.reasons[n] for n in found.journeys["reason"][answers]}
    assert texts == {"came back over host1/rfp, host1/qr, not over host0/qr, host0/rfp"}


def test_what_did_not_arrive_says_why_before_which_way_it_came() -> None:
    batch = make("asymmetric", 3, 0.3).batch
    p = batch.packets
    whole = join(batch)
    answer = int(np.flatnonzero(whole.journeys["request"] >= 0)[0])
    stop_ns = np.sort(p["time_ns"])[len(p) // 2]  # then the capture they come to last is over
    kept = (p["point"] != whole.journeys["outcome_point"][answer]) | (p["time_ns"] < stop_ns)
    found = join(batch.take(np.flatnonzero(kept)))
    unfinished = found.journeys["outcome"] == Outcome.UNFINISHED
    late = unfinished & (found.journeys["request"] >= 0)
    texts = {found.reasons[n] for n in found.journeys["reason"][late]}
    assert texts == {f"{CAPTURE_EDGE}; came back over rfp1, qr1, not over qr0, rfp0"}


IN, OUT = Direction.INGRESS, Direction.EGRESS
CLIENT, LEFT, RIGHT, SERVER = (("c", "c0"), ("l", "lc"), ("r", "rs"), ("s", "s0"))
ALL = "came back over rx, lx, not over lm, rm"


@pytest.mark.parametrize(
    ("between", "back", "said"),
    [
        ([("r", "rm", IN)], [("l", "lm", IN)], set()),  # decrypted there, and encrypted on the way
        ([("l", "lm", OUT), ("r", "rm", IN)], [("r", "rm", OUT), ("l", "lm", IN)], set()),
        ([("l", "lm", OUT), ("r", "rm", IN)], [("r", "rx", OUT), ("l", "lx", IN)], {ALL}),
    ],
)
def test_what_leaves_encrypted_comes_the_same_way(
    between: list[tuple[str, str, Direction]],
    back: list[tuple[str, str, Direction]],
    said: set[str],
) -> None:
    there = [(*CLIENT, OUT), (*LEFT, IN), *between, (*RIGHT, OUT), (*SERVER, IN)]
    home = [(*SERVER, OUT), (*RIGHT, IN), *back, (*LEFT, OUT), (*CLIENT, IN)]
    points = [Point("h", space, device, way) for space, device, way in (*there, *home)]
    ping = {"ip_version": 4, "proto": 1, "icmp_code": 0, "icmp_id": 7, "icmp_seq": 1,
            "payload_len": 56, "ip_len": 84, "ethertype": 0x800}  # fmt: skip
    asks = {**ping, "src": "10.0.0.2", "dst": "10.9.0.2", "icmp_type": 8, "ip_id": 5, "skb": 64}
    tells = {**ping, "src": "10.9.0.2", "dst": "10.0.0.2", "icmp_type": 0, "ip_id": 6, "skb": 128}
    rows = [
        {**(asks if at < len(there) else tells), "point": at, "time_ns": 10_000 * at, "ifindex": 3}
        for at in range(len(points))
    ]
    for way in (rows[: len(there)], rows[len(there) :]):
        passed = np.cumsum([points[int(str(row["point"]))].direction == OUT for row in way])
        for row, count in zip(way, passed, strict=True):
            row["ttl"] = 65 - int(count)
    found = join(batch_of(rows, points))
    assert {text for text in found.reasons if "came back" in text} == said
