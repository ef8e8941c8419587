"""Joins of packets of which NAT left but a number, or the time: how sure they are is not known.

Two hosts that begin to ping, or send datagrams alike, at one moment look the same, and how often
they do depends on the networks, not on what was captured.
"""

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, pair_keys
from tracer.correlate.nat.tuples import LOWEST_CHOSEN, are_translations


def by_number(
    batch: ObservationBatch, hops: StructuredArray, before: Codes, changed: Codes
) -> Codes:
    """Return the hops (indices) of echoes and datagrams that rest on number and time alone.

    `before`: the row each came from, -1 for none; `changed`: hops whose tuple is not the one of
    that. Such a hop has no IP id, other addresses on both sides, another id or another port of
    those that one side chose, and bytes that other packets have too.
    """
    packets, row = batch.packets, hops["row"][changed]
    datagram = (packets["sport"][row] >= 0) & (packets["tcp_seq"][row] < 0)
    bare = (packets["icmp_seq"][row] >= 0) | datagram
    bare &= packets["ip_id"][row] <= 0
    bare &= packets["frag_offset"][before[changed]] <= 0  # a fragment without the number
    changed, row = changed[bare], row[bare]
    ids = packets["icmp_id"][row], packets["icmp_id"][before[changed]]
    kept = (ids[0] == ids[1]) & (ids[0] >= LOWEST_CHOSEN)
    ports = (_chosen_port(packets, row), _chosen_port(packets, before[changed]))
    kept |= (ports[0] == ports[1]) & (ports[0] >= LOWEST_CHOSEN)
    alone = ~kept & ~are_translations(packets, before[changed], row)
    changed = changed[alone]
    found: Codes = changed[_is_common(batch, hops, changed)] if len(changed) else changed
    return found


def _chosen_port(packets: StructuredArray, rows: Codes) -> Codes:
    # The larger port: the other one is a service's.
    found: Codes = np.maximum(packets["sport"][rows], packets["dport"][rows])
    return found


def _is_common(batch: ObservationBatch, hops: StructuredArray, chosen: Codes) -> Codes:
    # Places of those whose bytes are not captured, or are in other journeys as well.
    digest = batch.packets["payload_digest"]
    wanted = digest[hops["row"][chosen]]
    known, code = np.unique(wanted, return_inverse=True)
    own = digest[hops["row"]]
    at = np.minimum(np.searchsorted(known, own), len(known) - 1)
    there = np.flatnonzero(known[at] == own)
    pairs = np.unique(pair_keys(at[there], hops["journey"][there].astype(np.int64)))
    journeys = np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=len(known))
    return np.flatnonzero((wanted == 0) | (journeys[code] > 1))
