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
from tracer.core.point import Direction
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.nat.streams import Streams
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.packets.identity import Identity

INITIAL_TTLS = (64, 128, 255)
REQUEST = 1


def addressed_here(
    batch: ObservationBatch, identity: Identity, streams: Streams, link: Codes, paths: Paths,
    which: Codes,
) -> NDArray[np.bool_]:  # fmt: skip
    """Return whether the last hop of each of the journeys `which` is in the namespace that its
    destination is an address of; `link` is that of each row.
    """
    packets, last = batch.packets, paths.last[which]
    spaces = _spaces(batch)
    here = spaces[packets["point"][last]]
    if here.max(initial=-1) < 0:
        return np.zeros(len(which), np.bool_)
    macs = _own_macs(packets, identity, paths, link, spaces)
    there: NDArray[np.bool_] = np.isin(_keys(here, packets["dst_mac"][last]), macs)
    # Captures on `any` tell no target's MAC, but what came in.
    devices = [p.direction is Direction.INGRESS and p.hook is None for p in batch.points]
    entering = np.array([*devices, False])
    there |= (packets["dst_mac"][last] == NULL_U64) & entering[packets["point"][last]]
    there &= here >= 0
    if not there.any():
        return there
    wanted = _addresses(spaces, last, packets, "dst")
    # All packets of a stream have the MACs and addresses of its first.
    rows = streams.first[identity.usable[streams.first]]
    sent = rows[np.isin(_keys(_of(spaces, packets, rows), packets["src_mac"][rows]), macs)]
    made = np.isin(packets["ttl"][sent], INITIAL_TTLS)
    own = np.concatenate([
        _addresses(spaces, sent[made], packets, "src"), _asking(batch, spaces, macs)
    ])  # fmt: skip
    there &= np.isin(wanted, own)
    there &= ~np.isin(wanted, _addresses(spaces, sent[~made], packets, "src"))
    if not there.any():
        return there
    asked = np.isin(_addresses(spaces, rows, packets, "dst"), wanted[there])
    return there & ~np.isin(wanted, _passed(packets, paths, streams, spaces, rows[asked]))


# The namespace of each point, by host and name; -1 where neither is known, and at the end for the
# point -1.
def _spaces(batch: ObservationBatch) -> Codes:
    names = [(point.host, point.netns) for point in batch.points]
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    codes[None, None] = -1
    return np.array([codes[name] for name in names] + [-1], np.int64)


def _of(spaces: Codes, packets: Any, rows: Codes) -> Codes:
    found: Codes = spaces[packets["point"][rows]]
    return found


def _keys(space: Codes, values: Any) -> Keys:
    return mixed(space.astype(np.uint64), values)


def _addresses(spaces: Codes, rows: Codes, packets: Any, end: str) -> Keys:
    high = _keys(_of(spaces, packets, rows), packets[f"{end}_hi"][rows])
    return mixed(high, packets[f"{end}_lo"][rows])


# MACs under which a namespace takes packets to forward, or sends forwarded ones. Of the steps from
# one link to another one each is looked at.
def _own_macs(packets: Any, identity: Identity, paths: Paths, link: Codes, spaces: Codes) -> Keys:
    links = link[paths.hops]
    steps = np.ones(max(len(links) - 1, 0), np.bool_)
    steps[paths.starts[1:-1] - 1] = False  # to another journey
    at = np.flatnonzero(steps)
    at = at[factorise(pair_keys(links[at], links[at + 1]))[1]]
    came, left = paths.hops[at], paths.hops[at + 1]
    routed = _of(spaces, packets, came) == _of(spaces, packets, left)
    routed &= identity.ttl[came] - identity.ttl[left] == 1
    came, left = came[routed], left[routed]
    known = [
        _keys(_of(spaces, packets, rows), macs)[macs != NULL_U64]
        for rows, macs in ((came, packets["dst_mac"][came]), (left, packets["src_mac"][left]))
    ]
    return np.unique(np.concatenate(known))


# Who asks for another address gives its own.
def _asking(batch: ObservationBatch, spaces: Codes, macs: Keys) -> Keys:
    arp = batch.sections["arp"]
    arp = arp[arp["arp_op"] == REQUEST]
    space = _of(spaces, batch.packets, arp["row"].astype(np.int64))
    mine = np.isin(_keys(space, arp["arp_sender_mac"]), macs)
    mine &= (arp["arp_sender_ip_lo"] != arp["arp_target_ip_lo"]) & (space >= 0)
    space, arp = space[mine], arp[mine]
    return mixed(_keys(space, arp["arp_sender_ip_hi"]), arp["arp_sender_ip_lo"])


# Destinations of packets that went on from here: routed, translated, or to another namespace.
# Those of the streams are looked at that begin with `firsts`.
def _passed(packets: Any, paths: Paths, streams: Streams, spaces: Codes, firsts: Codes) -> Keys:
    chosen = np.zeros(len(streams.first), np.bool_)
    chosen[streams.stream[firsts]] = True
    goes_on = chosen[streams.stream[paths.hops]]
    goes_on[paths.starts[1:] - 1] = False
    at = np.flatnonzero(goes_on)
    here, there = paths.hops[at], paths.hops[at + 1]
    on = _of(spaces, packets, here) != _of(spaces, packets, there)
    on |= packets["ttl"][here] != packets["ttl"][there]
    on |= packets["dst_lo"][here] != packets["dst_lo"][there]
    return _addresses(spaces, here[on], packets, "dst")
