"""What each join rests on, and how sure it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Evidence
from tracer.correlate.assembly import Assembly
from tracer.correlate.hashing import Codes
from tracer.correlate.identity import Identity
from tracer.correlate.streams import Streams, is_proven

# Shares of joins that were right where the truth is known; never above what was measured.
CERTAIN, SURE, LIKELY, UNSURE = 0.9999, 0.999, 0.98, 0.5


@dataclass(slots=True)
class Joins:
    """Of each hop: `evidence` (core.enums.Evidence), `candidates`, `confidence`."""

    evidence: NDArray[np.int8]
    candidates: NDArray[np.int32]
    confidence: NDArray[np.float32]


def joins(
    batch: ObservationBatch,
    identity: Identity,
    streams: Streams,
    found: Assembly,
    rows: Codes,
    before: Codes,
) -> Joins:
    """Return the joins between each row and the row before it (-1: first hop), shape (rows,)."""
    later = before >= 0
    origin = np.where(later, before, rows)
    evidence = np.where(found.repeated[rows], Evidence.SEQUENCE, Evidence.FINGERPRINT)
    evidence[_is_bare(batch.packets, rows)] = Evidence.SEQUENCE
    a, b = identity.flow[rows], identity.flow[origin]
    changed = np.flatnonzero(later & (a != b))
    proven = changed[is_proven(a[changed], b[changed], streams.proven)]
    evidence[proven] = Evidence.CONNTRACK
    evidence[_same_buffer(batch, rows, origin)] = Evidence.SKB
    evidence[~later] = Evidence.NONE
    ambiguous = found.ambiguous[rows] & (evidence != Evidence.SKB)
    confidence = np.array([np.nan, CERTAIN, CERTAIN, SURE, LIKELY], np.float32)[evidence]
    candidates = found.candidates[rows]
    unsure = np.minimum(UNSURE, 1 / np.maximum(candidates, 1))
    confidence = np.where(ambiguous & later, unsure, confidence).astype(np.float32)
    return Joins(evidence.astype(np.int8), np.where(later, candidates, -1), confidence)


def _is_bare(packets: Any, rows: Codes) -> NDArray[np.bool_]:
    # No IP id, no bytes, no TCP numbers: id, sequence number and time are all there is.
    unnumbered = (packets["ip_id"] <= 0) & (packets["tcp_seq"] < 0)
    bare: NDArray[np.bool_] = unnumbered & (packets["payload_digest"] == 0)
    return bare[rows]


def _same_buffer(batch: ObservationBatch, rows: Codes, before: Codes) -> NDArray[np.bool_]:
    kernel = batch.sections["kernel"]
    if not len(kernel):
        return np.zeros(len(rows), np.bool_)
    skb = np.zeros(len(batch), np.uint64)
    skb[kernel["row"]] = kernel["skb"]
    same: NDArray[np.bool_] = (skb[rows] == skb[before]) & (skb[rows] != 0) & (rows != before)
    return same
