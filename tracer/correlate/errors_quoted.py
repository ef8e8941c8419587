"""ICMP errors and the journeys of the packets they quote."""

from typing import Any

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.identity import Identity, mixed
from tracer.correlate.nat import hashes_of

WAIT_NS = 60_000_000_000  # an error about a packet is sent at once; queues and probes delay it
LATE_NS = 1_000_000


def _quoted_keys(quoted: Any) -> Keys:
    numbers = [quoted[f"inner_{name}"] for name in ("proto", "sport", "dport", "icmp_id")]
    halves = [quoted[f"inner_{end}_{half}"] for end in ("src", "dst") for half in ("hi", "lo")]
    flow: Keys = hashes_of(np.column_stack(halves), np.column_stack(numbers).astype(np.int64))
    number = np.maximum(quoted["inner_tcp_seq"], quoted["inner_icmp_seq"])
    return mixed(mixed(flow, quoted["inner_ip_id"]), number)


def _packet_keys(packets: Any, identity: Identity) -> Keys:
    number = np.maximum(packets["tcp_seq"], packets["icmp_seq"])
    return mixed(mixed(identity.flow, packets["ip_id"]), number)


def quotes(
    batch: ObservationBatch, identity: Identity, journey: Codes, time: Codes, journeys: int
) -> Codes:
    """Return for each journey the one whose packet it quotes, -1 for none.

    NAT rewrites the quote as it rewrites the error, so at some hop the quote shows the very tuple,
    IP id and number that the packet had at some hop of its own.
    """
    found = np.full(journeys, -1, np.int64)
    quoted = batch.sections["quoted"]
    quoted = quoted[journey[quoted["row"]] >= 0]
    if not len(quoted):
        return found
    asked = _quoted_keys(quoted)
    keys = _packet_keys(batch.packets, identity)
    candidates = np.flatnonzero(np.isin(keys, asked) & (journey >= 0))
    order = candidates[np.lexsort((time[candidates], keys[candidates]))]
    known, starts = np.unique(keys[order], return_index=True)
    stops = np.append(starts[1:], len(order))
    errors = quoted["row"]
    for i in np.argsort(time[errors], kind="stable"):
        at = np.searchsorted(known, asked[i])
        if at == len(known) or known[at] != asked[i] or found[journey[errors[i]]] >= 0:
            continue
        rows = order[starts[at] : stops[at]]
        before = rows[: np.searchsorted(time[rows], time[errors[i]] + LATE_NS, "right")]
        if len(before) and time[errors[i]] - time[before[-1]] <= WAIT_NS:
            found[journey[errors[i]]] = journey[before[-1]]
    return found
