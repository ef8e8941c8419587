"""Copies that a mirror port sent away (ERSPAN, TZSP): packets of their own, beside the one copied.

A collector shows what passed a link elsewhere. Where a capture shows the same frames on that very
link, the copies tell nothing new, and what became of them says nothing of the packets: they are
kept apart, and so are their flows. Where no other capture shows that link, its copies stand for it.
"""

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Encap
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise

MIRRORS = (Encap.ERSPAN, Encap.TZSP)  # tunnels that carry nothing but copies
_COPY = np.array(0x4D1)
_SESSION = ("encap", "outer_src_hi", "outer_src_lo", "outer_dst_hi", "outer_dst_lo")


def mirrored_rows(batch: ObservationBatch, packet: Keys) -> Codes:
    """Return the rows of copies from links that other captures show; `packet`: as `Identity` has.

    A link is a session's, between two MACs. The frame is the same there: MACs, TTL and packet.
    """
    tunnel = batch.sections["tunnel"]
    tunnel = tunnel[np.isin(tunnel["encap"], MIRRORS)]
    rows: Codes = tunnel["row"].astype(np.int64)
    if not len(rows):
        return rows
    native = np.isin(packet, packet[rows])
    native[rows] = False
    others = np.flatnonzero(native)
    copied = np.isin(_frames(batch, packet, rows), _frames(batch, packet, others))
    link = np.full(len(rows), 41, np.uint64)
    for name in _SESSION:
        link = mixed(link, tunnel[name])
    for name in ("src_mac", "dst_mac"):
        link = mixed(link, batch.packets[name][rows])
    codes, where = factorise(link)
    shown = np.bincount(codes, copied, len(where)) > 0
    return rows[shown[codes]]


def _frames(batch: ObservationBatch, packet: Keys, rows: Codes) -> Keys:
    frames = packet[rows]
    for name in ("src_mac", "dst_mac", "ttl"):
        frames = mixed(frames, batch.packets[name][rows])
    return frames


def apart(hashes: Keys, mirrored: NDArray[np.bool_]) -> Keys:
    """Return hashes, others where `mirrored` (by row; no element: nowhere), so that none agrees."""
    return np.where(mirrored, mixed(hashes, _COPY), hashes) if len(mirrored) else hashes
