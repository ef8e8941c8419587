"""What rows of one packet have in common, whatever captures cut away."""

import numpy as np
import pytest
from made import batch_of

from tracer.core.point import Point
from tracer.correlate.packets.identity import identify

POINTS = (Point("a", None, "in"), Point("a", None, "out"))


@pytest.mark.parametrize("cut", [0, 1, 150])
def test_a_single_packet_that_is_cut_tells_how_far_bytes_count(cut: int) -> None:
    # Wherever it lies among the others. Digests of payloads as long as its own are of no use then;
    # two packets that differ in shorter ones still do.
    rows: list[dict[str, object]] = [
        {"point": row % 2, "ip_version": 4, "ethertype": 0x800, "proto": 17, "sport": 9,
         "dport": 9, "src": "10.0.0.1", "dst": "10.0.0.2", "ip_id": row // 2 + 1, "ttl": 64,
         "ip_len": 100, "payload_len": 50 if row < 100 else 500, "payload_digest": row + 7,
         "cap_len": 600, "wire_len": 600}
        for row in range(200)
    ]  # fmt: skip
    rows[cut] |= {"payload_len": 500, "payload_digest": 0, "cap_len": 96}

    identity = identify(batch_of(rows, POINTS))

    pairs = identity.packet.reshape(-1, 2)
    equal = pairs[:, 0] == pairs[:, 1]
    others = np.arange(100) != cut // 2
    assert equal[50:].all()
    assert not equal[:50][others[:50]].any()
    long = np.arange(200) >= 100
    long[cut] = False
    assert (identity.body[long] == np.arange(200)[long] + 7).all()
    assert not identity.body[:100].any()
