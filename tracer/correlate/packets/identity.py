"""What tells packets apart, and what forwarding and translation leave alone, as hashes of rows."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner_plain, jit, jit_plain
from tracer.core.mixing import mix, mixed
from tracer.core.protocols import ETHERTYPE_ARP, TCP
from tracer.correlate.hashing import Keys, factorise
from tracer.correlate.packets.flow_hash import flow_hash
from tracer.correlate.packets.fragments import IPV6, lasting_ids
from tracer.correlate.packets.ip_ids import (
    changing_between,
    is_told_apart,
    rows_without_id,
    sampled_below,
)
from tracer.correlate.packets.mirrors import apart, mirrored_rows
from tracer.correlate.packets.one_link import is_nameless, is_of_one_link, tell_senders
from tracer.correlate.packets.places import hashes_of_names, place_names, point_columns, point_name
from tracer.correlate.packets.quotes import quote_keys

Row = NDArray[np.int64]
_NONE_CUT = 1 << 40  # longer than any payload
#: What of a TCP header every capture shows; SIZES: where it ends, and so how long the payload is.
WINDOWS, STAMPS, SACKS, SIZES, FLAGS = 1, 2, 4, 8, 16
_EVERY = 64  # of so many rows one says what all are likely to be
#: Traits of a packet: how many witnesses it has; no digest of its payload; no IP id, no bytes and
#: no TCP numbers, so that id, sequence number and time are all there is; an IP id, and bytes or TCP
#: numbers, so that hardly another packet is equal to it; ARP.
WITNESSES, NO_DIGEST, BARE, OWN, IS_ARP = 3, 4, 8, 16, 32
_WHOLE = (_NONE_CUT, WINDOWS | STAMPS | SACKS | SIZES | FLAGS)  # no packet is cut


@dataclass(slots=True)
class Identity:
    """Hashes of each row (uint64, shape (rows,)) and where it was seen.

    `packet`: what survives forwarding and NAT; with the sender's MAC where no address names it.
    `flow`: directional five-tuple (echo: id).
    `link`: point, MACs, VLAN, VNI and the tunnel's other end, so also the way it went.
    `usable`: IP or ARP. `place`: point without direction; `netns`, `host`: -1 unknown;
    `place_names`: a hash of each place, the same in every batch, and one more, for -1.
    `clock`: index into `clocks`. `stamp`, `capture`: as the packets have them. `traits`: bits
    (WITNESSES, NO_DIGEST, BARE, OWN, IS_ARP); `length`: of the payload, bytes. `body`: digests that
    `packet` leaves out, because some capture cut such payloads, 0 where it is not known; no element
    where nothing was left out.
    `several`: rows of points that are several devices (`Point.several`); no element where none is.
    `spot`: `place`, but of those rows a number for each `link`, from `len(place_names)` on.
    `tunnel`: which one a row is in, and to which end, 0 for none; no element where there is none.
    `fragmented`: whether any packet is a fragment. `mirrored`: rows of copies that a mirror port
    sent away, whose `packet` and `flow` are their own (`mirrors`); no element where there are none.
    `numbering`: of TCP that something on the way renumbers, a number for its numbers as they were
    seen, -1 for other rows; no element where there is none.
    """

    packet: Keys
    flow: Keys
    link: Keys
    usable: NDArray[np.bool_]
    point: Row
    place: Row
    netns: Row
    host: Row
    clock: Row
    stamp: Row
    capture: NDArray[np.int32]
    ttl: Row
    src_mac: Keys
    dst_mac: Keys
    traits: NDArray[np.int8]
    length: NDArray[np.int32]
    body: Keys
    several: NDArray[np.bool_]
    spot: Row
    clocks: tuple[str, ...]
    place_names: Keys
    tunnel: Keys
    fragmented: bool = False
    mirrored: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    numbering: Row = field(default_factory=lambda: np.empty(0, np.int64))


@inner_plain
def _with_digest(r: Any, shortest: int, told: int) -> bool:
    return bool(0 < r.payload_len < shortest and (r.proto != TCP or told & SIZES))


@inner_plain
def _content_hash(r: Any, with_digest: bool, told: int) -> Any:
    # Without the IP id.
    h = mix(mix(np.uint64(3), np.uint64(r.ip_version)), np.uint64(r.proto))
    h = mix(h, np.uint64(r.ip_len))
    h = mix(h, np.uint64(r.payload_digest) if with_digest else np.uint64(0))
    size = np.int64(r.payload_len) if r.proto != TCP or told & SIZES else np.int64(-1)
    h = mix(h, np.uint64(size) ^ (np.uint64(r.frag_offset) << np.uint64(32)))
    if r.proto == TCP:
        h = mix(h, np.uint64(r.tcp_seq) ^ (np.uint64(r.tcp_ack) << np.uint64(32)))
        if told & WINDOWS:
            h = mix(h, np.uint64(r.tcp_window))
        if told & STAMPS:
            h = mix(h, np.uint64(r.tcp_tsval) ^ (np.uint64(r.tcp_tsecr) << np.uint64(32)))
        if told & SACKS:
            h = mix(h, np.uint64(r.tcp_sack))
        h = mix(h, np.uint64(r.tcp_flags if told & FLAGS else np.int16(-1)))
    elif r.icmp_type >= 0:
        h = mix(h, np.uint64(r.icmp_type) * np.uint64(256) + np.uint64(r.icmp_code))
        h = mix(h, np.uint64(r.icmp_seq))
    if is_of_one_link(r):
        h = mix(mix(mix(mix(h, r.src_hi), r.src_lo), r.dst_hi), r.dst_lo)
    return mix(h, np.uint64(r.flow_label))


@inner_plain
def _packet_hash(r: Any, content: Any) -> Any:
    # An IPv6 fragment's id is mixed in where it lasts.
    return mix(content, np.uint64(r.ip_id if r.ip_version != IPV6 else np.int64(-1)))


@inner_plain
def _witnesses(r: Any) -> int:
    # How many things of its own a packet has that no other one is likely to have: 3 is 3 or more.
    count = int(r.ip_id > 0) + int(r.icmp_seq >= 0 or r.ethertype == ETHERTYPE_ARP)
    count += int(r.tcp_tsval > 0) + int(r.payload_digest != 0 and r.payload_len >= 8)
    if r.proto == TCP and r.tcp_seq >= 0:
        count += 1 + int(r.payload_len > 0 or r.tcp_flags & 0x03 != 0)
    return min(count, 3)


@inner_plain
def _traits(r: Any) -> int:
    traits = _witnesses(r)
    if r.payload_digest == 0:
        traits |= NO_DIGEST
        if r.ip_id <= 0 and r.tcp_seq < 0:
            traits |= BARE
    if r.ip_id > 0 and (r.tcp_seq >= 0 or (r.payload_digest != 0 and r.payload_len >= 8)):
        traits |= OWN
    if r.ethertype == ETHERTYPE_ARP:
        traits |= IS_ARP
    return traits


@inner_plain
def _cut(r: Any, before: Any) -> tuple[int, int]:
    # The shortest payload of which too little was captured for a digest, and what of the TCP header
    # no capture cut away and every source tells, with one more packet.
    shortest, told = before
    unread = r.tcp_seq >= 0 and r.tcp_sack == 0
    if unread:
        told &= ~SACKS
        if r.tcp_window < 0:
            told &= ~WINDOWS
        if r.tcp_flags < 0:
            told &= ~FLAGS
        if r.payload_len < 0:
            told &= ~SIZES
    if r.cap_len >= r.wire_len:
        return shortest, told
    if r.payload_len > 0 and r.payload_digest == 0 and (r.icmp_type < 0 or r.icmp_id >= 0):
        shortest = min(shortest, np.int64(r.payload_len))
    if unread and r.tcp_tsval < 0:
        told &= ~STAMPS
    return shortest, told


@jit
def _scan(
    p: Any, names: Keys, cuts: tuple[int, int], below: np.uint64, out: Any
) -> tuple[Any, Any, Row, Keys]:
    # One pass over the records, which are much larger than what is kept of them. Returns `_cut` of
    # all, which `cuts` is expected to be; whether there are fragments, and such of IPv6, and
    # senders without an address; and rows that are known without their id, with their content:
    # those whose content's hash is below a limit.
    rows, contents = np.empty(len(p), np.int64), np.empty(len(p), np.uint64)
    count = 0
    packet, flow, link, usable, point, stamp, capture, ttl, src_mac, dst_mac, traits, length = out
    shortest, told = cuts
    found = _WHOLE
    fragmented = numbered = nameless = False
    for i in range(len(p)):
        r = p[i]
        found = _cut(r, found)
        fragmented = fragmented or r.frag_offset > 0 or r.more_fragments == 1
        numbered = numbered or (r.ip_version == IPV6 and r.ip_id >= 0)
        nameless = nameless or is_nameless(r)
        point[i], stamp[i], capture[i] = r.point, r.time_ns, r.capture
        ttl[i] = r.ttl
        src_mac[i], dst_mac[i] = r.src_mac, r.dst_mac
        traits[i], length[i] = _traits(r), r.payload_len
        usable[i] = r.ip_version > 0 or r.ethertype == ETHERTYPE_ARP
        with_digest = _with_digest(r, shortest, told)
        content = _content_hash(r, with_digest, told)
        packet[i] = _packet_hash(r, content)
        if content < below and is_told_apart(r, with_digest):
            rows[count], contents[count] = i, content
            count += 1
        flow[i] = flow_hash(r, False)
        h = mix(mix(mix(np.uint64(11), names[r.point]), r.src_mac), r.dst_mac)
        link[i] = mix(h, np.uint64(r.vlan) ^ (np.uint64(r.vlan_inner) << np.uint64(20)))
    said = (fragmented, numbered, nameless)
    return found, said, rows[:count].copy(), contents[:count].copy()


@jit
def _contents(p: Any, shortest: int, told: int) -> tuple[Row, Keys]:
    # All rows that are known without their id, with their content.
    rows, contents = np.empty(len(p), np.int64), np.empty(len(p), np.uint64)
    count = 0
    for i in range(len(p)):
        with_digest = _with_digest(p[i], shortest, told)
        if is_told_apart(p[i], with_digest):
            rows[count], contents[count] = i, _content_hash(p[i], with_digest, told)
            count += 1
    return rows[:count].copy(), contents[:count].copy()


@jit_plain
def _likely_cuts(p: Any) -> tuple[int, int]:
    # `_cut` of some packets.
    found = _WHOLE
    for i in range(0, len(p), _EVERY):
        found = _cut(p[i], found)
    return found


def _bodies(p: Any, shortest: int, told: int) -> Keys:
    if shortest == _NONE_CUT and told & SIZES:
        return np.empty(0, np.uint64)
    left_out = p["payload_len"] >= shortest
    if not told & SIZES:
        left_out |= p["proto"] == TCP
    left_out &= p["payload_digest"] != 0
    if not left_out.any():
        return np.empty(0, np.uint64)
    bodies: Keys = np.where(left_out, p["payload_digest"], 0)
    return bodies


@jit
def answering(p: Any, rows: Row) -> Keys:
    """Return the hash of the flow that answers to the packet of each row, but for ARP."""
    out = np.empty(len(rows), np.uint64)
    for i in range(len(rows)):
        out[i] = flow_hash(p[rows[i]], True)
    return out


def _mix_sections(batch: ObservationBatch, identity: Identity) -> None:
    # Few rows have these, so numpy over the sparse records is cheap.
    arp = batch.sections["arp"]
    rows = arp["row"]
    ends = [mixed(identity.packet[rows] * np.uint64(0), arp["arp_op"])] * 2
    for name in ("arp_sender_mac", "arp_sender_ip_lo", "arp_target_ip_lo"):
        ends[0] = mixed(ends[0], arp[name])
    identity.packet[rows] = ends[0]
    low, high = arp["arp_sender_ip_lo"], arp["arp_target_ip_lo"]
    base = np.full(len(rows), 0xA59, np.uint64)
    identity.flow[rows] = mixed(mixed(base, low), high)
    quoted = batch.sections["quoted"]
    if len(quoted):
        identity.packet[quoted["row"]] = quote_keys(
            batch, sides_of_nat(batch, identity, quoted["row"])
        )


def identify(batch: ObservationBatch) -> Identity:
    """Return the identity hashes of every row of a batch."""
    rows = len(batch)
    ranks = point_columns(batch)
    # One packet has one digest, or none where too little was captured: then digests of payloads as
    # long as that do not tell rows of one packet from others, in this capture or another.
    cuts = _likely_cuts(batch.packets)
    packet, flow, link = (np.empty(rows, np.uint64) for _ in range(3))
    src_mac, dst_mac = (np.empty(rows, np.uint64) for _ in range(2))
    point, stamp, ttl = (np.empty(rows, np.int64) for _ in range(3))
    usable, traits = np.empty(rows, np.bool_), np.empty(rows, np.int8)
    capture, length = (np.empty(rows, np.int32) for _ in range(2))
    out = (packet, flow, link, usable, point, stamp, capture, ttl, src_mac, dst_mac, traits, length)
    below = sampled_below(rows)
    names = hashes_of_names([point_name(point) for point in batch.points])
    found, said, sampled, contents = _scan(batch.packets, names, cuts, below, out)
    if found != cuts:
        cuts = found
        _, said, sampled, contents = _scan(batch.packets, names, cuts, below, out)
    shortest, told = cuts
    fragmented, numbered, nameless = said
    identity = Identity(
        packet, flow, link, usable,
        ranks["point"][point], ranks["place"][point], ranks["netns"][point],
        ranks["host"][point], ranks["clock"][point], stamp, capture, ttl,
        src_mac, dst_mac, traits, length, _bodies(batch.packets, shortest, told),
        np.empty(0, np.bool_), ranks["place"][:0],
        tuple(sorted({point.clock_name for point in batch.points})),
        hashes_of_names(place_names(batch.points)), np.empty(0, np.uint64),
        bool(fragmented),
    )  # fmt: skip
    _tell_devices(batch, identity)
    changing = changing_between(batch.packets, identity.spot, sampled, contents)
    if len(changing):
        known, contents = _contents(batch.packets, shortest, told)
        without = rows_without_id(batch.packets, identity.spot, known, contents, changing)[known]
        packet[known[without]] = contents[without]
        _forget_ids(batch.packets, traits, known[without])
    if numbered:
        at, ids = lasting_ids(batch.packets, identity.spot, packet)
        packet[at] = mixed(packet[at], ids)
        _forget_ids(batch.packets, traits, at[ids == 0])
    if nameless:
        tell_senders(batch, packet)
    _mix_sections(batch, identity)
    _tell_copies(batch, identity)
    return identity


def _forget_ids(packets: Any, traits: NDArray[np.int8], rows: Row) -> None:
    # An id that does not last is no witness, and makes no packet one of its own.
    rows = rows[packets["ip_id"][rows] > 0]
    traits[rows] &= ~OWN
    traits[rows] -= ((traits[rows] & WITNESSES) > 0) & (packets["proto"][rows] != TCP)


def _tell_copies(batch: ObservationBatch, identity: Identity) -> None:
    rows = mirrored_rows(batch, identity.packet)
    if len(rows):
        identity.mirrored = np.zeros(len(batch), np.bool_)
        identity.mirrored[rows] = True
        identity.packet[:] = apart(identity.packet, identity.mirrored)
        identity.flow[:] = apart(identity.flow, identity.mirrored)


def sides_of_nat(batch: ObservationBatch, identity: Identity, rows: Row) -> Row:
    """Return `Identity.spot` of some rows, apart where packets of one are translated in between.

    Devices that have no names may be a bridge's port and the bridge. What a router sends back by
    the device it came by has the MAC that it had come to, and its IP id.
    """
    spot = identity.spot[rows].astype(np.uint64)
    numbered = mixed(spot, batch.packets["ip_id"][rows])
    sender, taker = (mixed(numbered, mac[rows]) for mac in (identity.src_mac, identity.dst_mac))
    returned = np.isin(sender, taker) & (identity.src_mac[rows] != np.uint64(NULL_U64))
    spot = 2 * spot + returned
    if len(identity.several):
        spot = mixed(spot, np.where(identity.several[rows], identity.flow[rows], 0))
    return factorise(spot)[0]


def _tell_devices(batch: ObservationBatch, identity: Identity) -> None:
    # A router sends a packet on with other MACs than it came with.
    tunnel = batch.sections["tunnel"]
    rows = tunnel["row"]
    if len(rows):
        # A frame for all goes out once for each other end of the tunnel.
        hashes = np.full(len(rows), 13, np.uint64)
        for name in ("vni", "encap", "outer_dst_hi", "outer_dst_lo"):
            hashes = mixed(hashes, tunnel[name])
        identity.tunnel = np.zeros(len(batch), np.uint64)
        identity.tunnel[rows] = hashes
        identity.link[rows] = mixed(identity.link[rows], hashes)
    identity.spot = identity.place
    mixed_points = [point.several for point in batch.points]
    if not any(mixed_points):
        return
    identity.several = np.array([*mixed_points, False])[batch.packets["point"]]
    rows = np.flatnonzero(identity.several)
    identity.spot = identity.place.copy()
    identity.spot[rows] = len(identity.place_names) + factorise(identity.link[rows])[0]


def reverse_of(batch: ObservationBatch, rows: Row, mirrored: NDArray[np.bool_]) -> Keys:
    """Return the `flow` hash that answers to some rows have; `mirrored` as in `Identity`."""
    hashes: Keys = answering(batch.packets, rows)
    arp = batch.sections["arp"]
    at = np.minimum(np.searchsorted(arp["row"], rows), max(len(arp) - 1, 0))
    is_arp = np.flatnonzero(arp["row"][at] == rows) if len(arp) else np.empty(0, np.int64)
    asked = arp[at[is_arp]]
    base = np.full(len(asked), 0xA59, np.uint64)
    hashes[is_arp] = mixed(mixed(base, asked["arp_target_ip_lo"]), asked["arp_sender_ip_lo"])
    return apart(hashes, mirrored[rows]) if len(mirrored) else hashes
