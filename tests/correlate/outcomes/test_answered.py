"""A flooded question got to who answered it, wherever the captures show the answer first."""

import numpy as np
import pytest
from made import batch_of

from tracer.core.enums import Kind, Outcome
from tracer.core.point import Point
from tracer.correlate.join import join

ASKER, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:05"
PLACES = {
    "a0": "asker", "p1": "bridge", "p2": "bridge", "p3": "bridge", "e2": "second", "e3": "third",
    "x3": "third", "y": "far",
}  # fmt: skip
ASKED = {"ethertype": 0x806, "arp_op": 1, "arp_sender_ip": "10.2.0.1", "src_mac": ASKER,
         "arp_sender_mac": ASKER, "arp_target_ip": "10.2.0.9",
         "dst_mac": "ff:ff:ff:ff:ff:ff"}  # fmt: skip
ANSWER = {"ethertype": 0x806, "arp_op": 2, "arp_sender_ip": "10.2.0.9", "src_mac": OTHER,
          "arp_sender_mac": OTHER, "arp_target_ip": "10.2.0.1", "dst_mac": ASKER}  # fmt: skip


def end_of_question(question: str, answer: str) -> str | None:
    """The device where a request ended that was seen at some devices, and its reply at others."""
    names = list(PLACES)
    points = tuple(Point("here", netns, device) for device, netns in PLACES.items())
    times = iter(range(10_000, 1_000_000, 5_000))
    rows = [
        {"point": names.index(device), "time_ns": next(times), **fields}
        for devices, fields in ((question, ASKED), (answer, ANSWER))
        for device in devices.split()
    ]
    found = join(batch_of(rows, points))
    (journey,) = found.journeys[found.journeys["kind"] == Kind.ARP_REQUEST]
    assert journey["outcome"] == Outcome.DELIVERED
    assert journey["reply"] == np.flatnonzero(found.journeys["kind"] == Kind.ARP_REPLY)[0]
    return found.observations.points[int(journey["outcome_point"])].device


@pytest.mark.parametrize(
    ("question", "answer", "end"),
    [
        ("a0 p1 p2 p3 e2 e3", "e3 p3 p1 a0", "e3"),
        ("a0 p1 p2 p3 e2 e3", "e2 p2 p1 a0", "e2"),
        ("a0 p1 p2 p3 e3", "p2 p1 a0", "p2"),  # nobody captured at its host
        ("a0 p1 p2 p3 e2 e3", "x3 p1 a0", "e3"),  # by another device of its host
        ("a0 p1 p2 p3 e2 e3", "p1 a0", "p1"),  # the bridge itself, or a port nobody captured
        (
            "a0 p1 p2 p3 e2 e3",
            "y a0",
            "a0",
        ),  # nothing says on which branch, nor where e2 and e3 part
    ],
)
def test_the_branch_is_that_of_the_answer(question: str, answer: str, end: str) -> None:
    assert end_of_question(question, answer) == end
