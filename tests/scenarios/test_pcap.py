"""The generator's columns are what the decoder finds in the generator's files."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scenarios.catalogue import SCENARIOS, make
from scenarios.pcap import write_pcaps
from tracer.core.schema import PACKET_DTYPE, StructuredArray
from tracer.sources.decode.rows import DecodedFrames, Decoder
from tracer.sources.frames import FRAME_DTYPE

BIG = {"wrapped_ids", "masquerade_many", "tcp_many_flows"}


def decoded(path: Path) -> DecodedFrames:
    data = path.read_bytes()
    frames, at = [], 24
    while at < len(data):
        seconds, nano, captured, wire = struct.unpack_from("<IIII", data, at)
        frames.append((at + 16, seconds * 10**9 + nano, captured, wire, 0, -1))
        at += 16 + captured
    linktype = np.frombuffer(data, "<i4", 1, 20)
    decoder = Decoder()
    decoder.add(np.frombuffer(data, np.uint8), np.array(frames, FRAME_DTYPE), linktype, 1)
    return decoder.finish()


def codes(digests: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number digests by first appearance, so that two hashes of the same bytes read alike."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def alike(ours: StructuredArray, theirs: StructuredArray, name: str) -> bool:
    """Return whether digests are null, and equal to each other, at the same rows."""
    one, other = ours[name], theirs[name]
    return np.array_equal(one == 0, other == 0) and np.array_equal(codes(one), codes(other))


def differing(ours: StructuredArray, theirs: StructuredArray) -> list[str]:
    return [
        f"{name}: {ours[name][i]} {theirs[name][i]} at {i}"
        for name in ours.dtype.names or ()
        for i in np.flatnonzero(ours[name] != theirs[name])[:1]
    ]


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - BIG))
def test_files_decode_to_the_columns(name: str, tmp_path: Path) -> None:
    scenario = make(name, seed=3, scale=0.1)
    batch = scenario.batch
    parts = [decoded(path) for path in write_pcaps(scenario, tmp_path)]
    theirs = np.concatenate([part.packets for part in parts])
    compared = [n for n in PACKET_DTYPE.names or () if n not in ("point", "capture")]
    for name in ("payload_digest", "tcp_sack"):
        compared.remove(name)
        assert alike(batch.packets, theirs, name)
    assert np.array_equal(batch.packets["tcp_sack"] == 1, theirs["tcp_sack"] == 1)
    assert differing(batch.packets[compared], theirs[compared]) == []
    starts = np.cumsum([0] + [len(part.packets) for part in parts])
    for section, records in batch.sections.items():
        found = [part.sections[section].copy() for part in parts]
        for start, records_of in zip(starts, found, strict=False):
            records_of["row"] += start
        records, read = records.copy(), np.concatenate(found)
        if section == "quoted":
            assert alike(records, read, "inner_payload_digest")
            records["inner_payload_digest"] = read["inner_payload_digest"]
        assert differing(records, read) == []
