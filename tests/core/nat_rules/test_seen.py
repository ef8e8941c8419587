"""Translations as seen, in the direction of the connection's first packet, for replies too."""

from pathlib import Path

import numpy as np
import pytest

import tracer
from tracer.core.address import decode_ip
from tracer.core.nat_rules.seen import distinct, nat_hops, path_steps, seen_at
from tracer.core.schema import StructuredArray


def ends(seen: StructuredArray) -> set[tuple[str | None, ...]]:
    names = ("before_src", "before_dst", "after_src", "after_dst")
    return {
        tuple(decode_ip(int(row[f"{name}_hi"]), int(row[f"{name}_lo"])) for name in names)
        for row in seen
    }


@pytest.mark.parametrize("folder", ["fip-outbound", "walkthrough"])
def test_replies_are_told_as_their_requests(captures: Path, folder: str) -> None:
    journey_set = tracer.read(captures / folder).journey_set
    if folder == "walkthrough":
        seen, steps = path_steps(journey_set)
        assert len(steps) == len(seen) == 6
    else:
        hops = nat_hops(journey_set)
        seen = seen_at(journey_set, hops)
        assert len(seen) == 105
        devices = {
            (journey_set.observations.points[row["iif"]].device,
             journey_set.observations.points[row["oif"]].device) for row in seen
        }  # fmt: skip
        assert devices == {("qr-1f6b0aa3-3d", "rfp-b6a86b9f-6")}
    outbound = ("192.168.3.69", "100.121.0.75", "100.122.0.145", "100.121.0.75")
    inbound = ("100.121.0.57", "100.122.0.145", "100.121.0.57", "192.168.3.69")
    assert ends(seen) == ({outbound} if folder == "fip-outbound" else {outbound, inbound})


def test_equal_hops_are_asked_about_once(captures: Path) -> None:
    journey_set = tracer.read(captures / "fip-outbound").journey_set
    seen = seen_at(journey_set, nat_hops(journey_set))
    few, codes = distinct(seen)
    assert len(few) < len(seen)
    assert np.array_equal(few[codes], seen)
    assert distinct(seen[:0])[1].shape == (0,)
