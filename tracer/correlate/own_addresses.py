"""Packets that are for the namespace they were last seen in: nobody will see them any further.

A namespace routes: what it forwards arrives with its MAC as destination and leaves, one TTL less,
with its MAC as source. Under such a MAC it sends what it makes itself, with a TTL that was never
lowered, or asks by ARP: from its own addresses. An address that it translates (packets to it went
on, packets from it came from elsewhere) is its own only in part, and proves nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.identity import Identity
from tracer.correlate.outcome import Paths

INITIAL_TTLS = (64, 128, 255)
REQUEST = 1


def addressed_here(
    batch: ObservationBatch, identity: Identity, paths: Paths, which: Codes
) -> NDArray[np.bool_]:
    """Return whether the last hop of each of the journeys `which` is in the namespace that its
    destination is an address of.
    """
    space = _spaces(batch)
    last = paths.last[which]
    here = np.unique(space[last])
    if not len(here) or here[-1] < 0:
        return np.zeros(len(which), np.bool_)
    packets = batch.packets
    is_here = np.isin(space[paths.hops], here[here >= 0])
    rows = paths.hops[is_here]
    is_here[paths.starts[1:] - 1] = False
    inner = np.flatnonzero(is_here)
    macs = _own_macs(packets, identity, paths, space, inner)
    if not len(macs):
        return np.zeros(len(which), np.bool_)
    sent = rows[np.isin(_keys(space, rows, packets["src_mac"][rows]), macs)]
    made = np.isin(packets["ttl"][sent], INITIAL_TTLS)
    own = np.concatenate([
        _addresses(space, sent[made], packets, "src"), _asking(batch, space, macs)
    ])  # fmt: skip
    translated = np.concatenate([
        _addresses(space, sent[~made], packets, "src"), _passed(packets, paths, space, inner)
    ])  # fmt: skip
    there = np.isin(_keys(space, last, packets["dst_mac"][last]), macs) & (space[last] >= 0)
    wanted = _addresses(space, last, packets, "dst")
    return there & np.isin(wanted, own) & ~np.isin(wanted, translated)


# The namespace each row was captured in, by host and name; -1 where neither is known.
def _spaces(batch: ObservationBatch) -> Codes:
    names = [(point.host, point.netns) for point in batch.points]
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    codes[None, None] = -1
    of_point = np.array([codes[name] for name in names] + [-1], np.int64)
    found: Codes = of_point[batch.packets["point"]]
    return found


def _keys(space: Codes, rows: Codes, values: Any) -> Keys:
    return mixed(space[rows].astype(np.uint64), values)


def _addresses(space: Codes, rows: Codes, packets: Any, end: str) -> Keys:
    return mixed(_keys(space, rows, packets[f"{end}_hi"][rows]), packets[f"{end}_lo"][rows])


# `at`, here and below: hops in such a namespace that are not the last of their journey.
def _own_macs(packets: Any, identity: Identity, paths: Paths, space: Codes, at: Codes) -> Keys:
    came, left = paths.hops[at], paths.hops[at + 1]
    routed = (space[came] == space[left]) & (identity.ttl[came] - identity.ttl[left] == 1)
    came, left = came[routed], left[routed]
    known = [
        _keys(space, rows, macs)[macs != NULL_U64]
        for rows, macs in ((came, packets["dst_mac"][came]), (left, packets["src_mac"][left]))
    ]
    return np.unique(np.concatenate(known))


# Who asks for another address gives its own.
def _asking(batch: ObservationBatch, space: Codes, macs: Keys) -> Keys:
    arp = batch.sections["arp"]
    arp = arp[arp["arp_op"] == REQUEST]
    rows = arp["row"].astype(np.int64)
    mine = np.isin(_keys(space, rows, arp["arp_sender_mac"]), macs)
    mine &= (arp["arp_sender_ip_lo"] != arp["arp_target_ip_lo"]) & (space[rows] >= 0)
    rows, arp = rows[mine], arp[mine]
    return mixed(_keys(space, rows, arp["arp_sender_ip_hi"]), arp["arp_sender_ip_lo"])


# Destinations of packets that went on from here: routed, translated, or to another namespace.
def _passed(packets: Any, paths: Paths, space: Codes, at: Codes) -> Keys:
    here, there = paths.hops[at], paths.hops[at + 1]
    on = (space[here] != space[there]) | (packets["ttl"][here] != packets["ttl"][there])
    on |= packets["dst_lo"][here] != packets["dst_lo"][there]
    return _addresses(space, here[on], packets, "dst")
