"""Why a hop differs from the one before it: forwarded, translated, encapsulated, bridged."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Cause
from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.packets.identity import Identity

_NONE, _FORWARDED, _BRIDGED = int(Cause.NONE), int(Cause.FORWARDED), int(Cause.BRIDGED)
_SNAT, _DNAT, _UN_SNAT, _UN_DNAT = map(int, (Cause.SNAT, Cause.DNAT, Cause.UN_SNAT, Cause.UN_DNAT))
_BOTH, _UN_BOTH = int(Cause.SNAT_DNAT), int(Cause.UN_SNAT_UN_DNAT)
_ENCAPSULATED, _DECAPSULATED = int(Cause.ENCAPSULATED), int(Cause.DECAPSULATED)


@inner_plain
def _are_named(x: Any, y: Any) -> bool:
    # Of a datagram's pieces the first one alone has ports, or an id.
    return bool(x.frag_offset <= 0 and y.frag_offset <= 0)


@inner_plain
def _translation(x: Any, y: Any, forward: bool) -> int:
    src = x.src_hi != y.src_hi or x.src_lo != y.src_lo
    dst = x.dst_hi != y.dst_hi or x.dst_lo != y.dst_lo
    src = src or (x.sport != y.sport and _are_named(x, y))
    dst = dst or (x.dport != y.dport and _are_named(x, y))
    if not src and not dst:
        if x.icmp_id == y.icmp_id or not _are_named(x, y):
            return _NONE
        return _SNAT if forward else _UN_SNAT
    if src and dst:
        return _BOTH if forward else _UN_BOTH
    if forward:
        return _SNAT if src else _DNAT
    return _UN_DNAT if src else _UN_SNAT


@jit
def _causes(
    p: Any, rows: Codes, parents: Codes, forward: Any, tunnel: Any, flow: Keys, ttl: Codes
) -> NDArray[np.int8]:
    out = np.zeros(len(rows), np.int8)
    for i in range(len(rows)):
        a, b = parents[i], rows[i]
        if a < 0:
            continue
        if flow[a] != flow[b] and p[a].ip_version > 0:
            out[i] = _translation(p[a], p[b], forward[i])
        if out[i] != _NONE:
            continue
        if len(tunnel) and tunnel[a] != tunnel[b]:
            out[i] = _ENCAPSULATED if tunnel[b] else _DECAPSULATED
        elif ttl[a] > ttl[b]:
            out[i] = _FORWARDED
        else:
            out[i] = _BRIDGED
    return out


def causes(
    batch: ObservationBatch, identity: Identity, rows: Codes, parents: Codes,
    forward: NDArray[np.bool_],
) -> NDArray[np.int8]:  # fmt: skip
    """Return `core.enums.Cause` of the step from each parent row to each row (-1: no parent).

    `forward` says whether the packet goes its flow's original way, so SNAT is told from un-DNAT.
    """
    carried = batch.rows_with("tunnel")
    tunnel = np.zeros(len(batch) if len(carried) else 0, np.bool_)
    tunnel[carried] = True
    found: NDArray[np.int8] = _causes(
        batch.packets, rows, parents, forward, tunnel, identity.flow, identity.ttl
    )
    return found
