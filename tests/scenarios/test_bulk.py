"""The fast path makes the same packets as a batch and as files."""

from pathlib import Path

import numpy as np

from scenarios.bulk import DEVICES, bulk_batch, write_bulk_pcaps
from scenarios.test_pcap import codes, decoded, differing
from tracer.core.schema import PACKET_DTYPE


def test_files_decode_to_the_batch(tmp_path: Path) -> None:
    batch, truth = bulk_batch(40_000, seed=5)
    parts = [decoded(path).packets for path in write_bulk_pcaps(tmp_path, 40_000, seed=5)]
    assert len(parts) == len(DEVICES)
    theirs = np.concatenate(parts)
    names = [n for n in PACKET_DTYPE.names or () if n not in ("point", "capture", "payload_digest")]
    assert differing(batch.packets[names], theirs[names]) == []
    ours = batch.packets["payload_digest"]
    assert np.array_equal(codes(ours), codes(theirs["payload_digest"]))
    assert np.array_equal(np.bincount(truth), np.full(5_000, len(DEVICES)))
