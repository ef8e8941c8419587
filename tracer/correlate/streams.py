"""Streams and classes: what at several points is one direction of one flow.

A stream is a directional tuple on one link (point, MACs, VLAN, VNI), so that equal tuples of two
tenants are two streams. Packets that clearly are one packet at several points vote that their
streams belong together; streams whose votes and addresses allow it become one class.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner, jit
from tracer.correlate.hashing import Codes, Keys, factorise, find, find_root, pair_keys, roots
from tracer.correlate.identity import Identity, mixed, reverse_of
from tracer.correlate.nat import are_translations, is_translation, unordered
from tracer.correlate.nat_guesses import guesses

Groups = tuple[Codes, Codes]
Voting = tuple[Groups, NDArray[np.bool_]]  # groups, and which of them are in doubt
MOST_ROWS_OF_ONE_PACKET = 512
LOOK_AHEAD = 24
MOST_BY_CHANCE = 3  # packets of two flows with equal IP ids, and nothing that tells them apart
NULL = np.uint64(NULL_U64)
TCP = 6
CERTAIN = np.iinfo(np.int32).max


@dataclass(slots=True)
class Streams:
    """`stream` and `flow_class` of each row (-1 unusable), `first` row and `count` of each stream.

    `proven` holds sorted keys of tuple-hash pairs that conntrack says are one flow.
    """

    stream: Codes
    flow_class: Codes
    first: Codes
    count: Codes
    proven: Keys


@dataclass(slots=True)
class _Edges:
    left: Codes
    right: Codes
    votes: Codes

    def where(self, which: NDArray[np.bool_]) -> "_Edges":
        return _Edges(self.left[which], self.right[which], self.votes[which])


@inner
def is_adjacent(p: Any, a: int, b: int) -> bool:
    """Return whether MACs allow rows `a` and `b` to be one packet: same TTL means bridged."""
    x, y = p[a], p[b]
    if x.ttl != y.ttl or x.src_mac == NULL or y.src_mac == NULL:
        return True
    return bool(x.src_mac == y.src_mac or x.dst_mac == y.dst_mac)


@inner
def _is_bridged(src_mac: Any, dst_mac: Any, a: int, b: int) -> bool:
    unknown = src_mac[a] == NULL or src_mac[b] == NULL
    return bool(unknown or src_mac[a] == src_mac[b] or dst_mac[a] == dst_mac[b])


@inner
def differ(body: Keys, rows: Codes) -> bool:
    """Return whether rows have other bytes (`Identity.body`), as far as they are known."""
    if len(body) == 0:
        return False
    seen = np.uint64(0)
    for row in rows:
        if body[row] != 0 and seen != 0 and body[row] != seen:
            return True
        if body[row] != 0:
            seen = body[row]
    return False


@jit
def in_doubt(
    order: Codes, starts: Codes, ttl: Codes, src_mac: Keys, dst_mac: Keys, place: Codes,
    body: Keys, time: Codes, slack_ns: int,
) -> NDArray[np.bool_]:  # fmt: skip
    """Return which groups (by falling TTL, then time) are not one packet beyond doubt.

    One packet is shown by no place twice at one TTL; MACs and times agree with the TTLs.
    """
    out = np.zeros(len(starts) - 1, np.bool_)
    for group in range(len(out)):
        start, stop = starts[group], starts[group + 1]
        level = start  # first row of this TTL
        before = latest = np.iinfo(np.int64).min // 2  # last time of higher TTLs, and of this too
        doubt = stop - start > MOST_ROWS_OF_ONE_PACKET or differ(body, order[start:stop])
        for i in range(start, start if doubt else stop):
            row = order[i]
            if ttl[row] != ttl[order[level]]:
                level, before = i, latest
            doubt = doubt or before > time[row] + slack_ns
            if i > level and not _is_bridged(src_mac, dst_mac, order[i - 1], row):
                doubt = True
            for j in range(level, i):
                doubt = doubt or place[order[j]] == place[row]
            if doubt:
                break
            latest = max(latest, time[row])
        out[group] = doubt
    return out


@jit
def _votes(
    p: Any, order: Codes, starts: Codes, doubt: NDArray[np.bool_], flow: Keys, stream: Codes,
    rare: NDArray[np.bool_], clear: Codes,
) -> tuple[Codes, Codes, int]:  # fmt: skip
    # Pairs of streams; the last ones, from where they begin on, rest on the IP id alone.
    first = np.empty(len(order), np.int64)
    second = np.empty(len(order), np.int64)
    count, end = 0, len(order)
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 2 or doubt[group]:
            continue
        clear[stream[rows[0]]] += 1
        for i in range(1, len(rows)):
            a, b = rows[i - 1], rows[i]
            clear[stream[b]] += 1
            if flow[a] == flow[b] or is_translation(p, a, b) or rare[group]:
                first[count], second[count] = stream[a], stream[b]
                count += 1
            elif p[a].ip_id > 0 and p[a].ttl > p[b].ttl:
                end -= 1
                first[end], second[end] = stream[a], stream[b]
    first[count : count + len(order) - end] = first[end:].copy()
    second[count : count + len(order) - end] = second[end:].copy()
    whole = count + len(order) - end
    return first[:whole].copy(), second[:whole].copy(), count


@inner
def _next_of_tuple(
    p: Any, order: Codes, i: int, stop: int, flow: Keys, netns: Codes, stream: Codes
) -> int:
    # A packet that lost one TTL is next seen where it was routed, if that is captured at all.
    a, otherwise = order[i], -1
    for j in range(i + 1, min(stop, i + LOOK_AHEAD)):
        b = order[j]
        fall = p[a].ttl - p[b].ttl
        if flow[a] != flow[b] or fall < 0 or not is_adjacent(p, a, b):
            continue
        if stream[a] == stream[b] and fall == 0:
            continue
        if fall != 1 or netns[a] == netns[b]:
            return int(b)
        if otherwise < 0:
            otherwise = b
    return int(otherwise)


@jit
def _weak_votes(
    p: Any, order: Codes, starts: Codes, flow: Keys, netns: Codes, stream: Codes,
    doubtful: NDArray[np.bool_],
) -> tuple[Codes, Codes]:  # fmt: skip
    # Groups in time order that are more than one packet: each row with the next of its tuple, where
    # little is known of a stream with that tuple.
    first = np.empty(len(order), np.int64)
    second = np.empty(len(order), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        for i in range(starts[group], starts[group + 1]):
            a = order[i]
            if not doubtful[stream[a]]:
                continue
            b = _next_of_tuple(p, order, i, starts[group + 1], flow, netns, stream)
            if b >= 0:
                first[count], second[count] = stream[a], stream[b]
                count += 1
    return first[:count].copy(), second[:count].copy()


@jit
def _union(parent: Codes, left: Codes, right: Codes, allowed: NDArray[np.bool_]) -> None:
    for i in range(len(left)):
        if allowed[i]:
            parent[find(parent, left[i])] = find(parent, right[i])


def _counted(pairs: tuple[Codes, Codes]) -> _Edges:
    first, second = pairs
    codes, where = factorise(pair_keys(np.minimum(first, second), np.maximum(first, second)))
    counts = np.bincount(codes, minlength=len(where)).astype(np.int64)
    return _Edges(first[where], second[where], counts)


def _enough(edges: _Edges, size: Codes, share: float) -> NDArray[np.bool_]:
    smaller = np.minimum(size[edges.left], size[edges.right])
    enough: NDArray[np.bool_] = edges.votes >= share * smaller
    return enough


def _likely(
    identity: Identity, streams: Streams, edges: _Edges, size: Codes, share: float
) -> NDArray[np.bool_]:
    # On one layer-2 segment (equal MACs) a frame may be flooded: votes spread over many links.
    a, b = streams.first[edges.left], streams.first[edges.right]
    bridged = identity.src_mac[a] == identity.src_mac[b]
    bridged &= identity.dst_mac[a] == identity.dst_mac[b]
    bridged &= (identity.ttl[a] == identity.ttl[b]) & (identity.src_mac[a] != NULL)
    likely: NDArray[np.bool_] = bridged & _enough(edges, size, 0.02)
    return likely | _enough(edges, size, share)


def is_rare(packets: Any, groups: Groups) -> NDArray[np.bool_]:
    """Return which groups have bytes that no other group has: equal by more than by chance."""
    order, starts = groups
    heads = order[starts[:-1]]
    icmp = packets["icmp_type"][heads].astype(np.int64).astype(np.uint64)
    digest = packets["payload_digest"][heads]
    codes, where = factorise(digest ^ icmp)
    alone = np.bincount(codes, minlength=len(where))[codes] == 1
    long = packets["payload_len"][heads] >= 8
    rare: NDArray[np.bool_] = (packets["proto"][heads] == TCP) | (alone & long & (digest != 0))
    return rare


def streams_of(packets: Any, identity: Identity) -> Streams:
    """Return the streams of all rows, each a class of its own as yet."""
    key = identity.flow ^ (identity.link * np.uint64(0x9E3779B97F4A7C15))
    stream, first = factorise(key)
    count = np.bincount(stream, minlength=len(first)).astype(np.int64)
    return Streams(stream, stream.copy(), first, count, np.empty(0, np.uint64))


def classify(
    batch: ObservationBatch, identity: Identity, streams: Streams, voting: tuple[Voting, ...],
    by_time: Groups, translations: tuple[Keys, Keys], time: Codes,
) -> None:  # fmt: skip
    """Set `flow_class` and `proven` of the streams.

    `voting` groups are rows of equal fingerprint without copies, sorted by falling TTL and time;
    `by_time` are the bursts in time order.
    """
    packets, stream, flow = batch.packets, streams.stream, identity.flow
    tuples = flow[streams.first]
    clear = np.zeros(len(tuples), np.int64)
    edges, by_id = _all_votes(packets, identity, streams, voting, clear)
    # Votes are counted among the packets that could vote, if those are not too few.
    size = np.maximum(clear, streams.count // 10)
    same = tuples[edges.left] == tuples[edges.right]
    parent = np.arange(len(tuples))
    _union(parent, edges.left, edges.right, same & _likely(identity, streams, edges, size, 0.25))
    doubtful = clear * 10 <= streams.count
    if doubtful.any():
        near = np.isin(tuples, tuples[doubtful])
        weak = _counted(_weak_votes(packets, *by_time, flow, identity.netns, stream, near))
        likely = _likely(identity, streams, weak, streams.count, 0.5)
        _union(parent, weak.left, weak.right, likely)
        size = np.maximum(size, streams.count * doubtful)
    _join_proven(parent, tuples, translations)
    streams.proven = np.unique(unordered(*translations))
    _join_translations(packets, streams, parent, edges.where(~same), tuples, size)
    _unite_apart(
        identity,
        streams,
        parent,
        by_id.where((by_id.votes >= MOST_BY_CHANCE) & _enough(by_id, size, 0.5)),
    )
    if _join_guesses(packets, identity, streams, parent, voting[1][0], time) or doubtful.any():
        _join_answers(batch, streams, parent, tuples)
    streams.flow_class = roots(parent)[stream]
    streams.flow_class[~identity.usable] = -1


def doubts(identity: Identity, groups: Groups, time: Codes, slack_ns: int) -> NDArray[np.bool_]:
    """Return `in_doubt` of groups of an identity's rows."""
    of = identity
    found: NDArray[np.bool_] = in_doubt(
        *groups, of.ttl, of.src_mac, of.dst_mac, of.place, of.body, time, slack_ns
    )
    return found


def _all_votes(
    packets: Any, identity: Identity, streams: Streams, voting: tuple[Voting, ...], clear: Codes
) -> tuple[_Edges, _Edges]:
    # By everything; and those that only the IP ids speak for, which may be equal by chance.
    parts = [
        _votes(packets, *groups, doubt, identity.flow, streams.stream, is_rare(packets, groups),
               clear)
        for groups, doubt in voting
    ]  # fmt: skip
    left = (
        np.concatenate([a[:n] for a, _, n in parts]),
        np.concatenate([b[:n] for _, b, n in parts]),
    )
    rest = (
        np.concatenate([a[n:] for a, _, n in parts]),
        np.concatenate([b[n:] for _, b, n in parts]),
    )
    return _counted(left), _counted(rest)


def _join_proven(parent: Codes, tuples: Keys, translations: tuple[Keys, Keys]) -> None:
    # A tuple that two tenants have says nothing alone: its streams are then joined by votes only.
    if not len(translations[0]):
        return
    segment = roots(parent)
    pairs = np.unique(np.column_stack([tuples, segment.astype(np.uint64)]), axis=0)
    known, at, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    if not len(known):
        return
    ends = []
    there = np.ones(len(translations[0]), np.bool_)
    for hashes in translations:
        place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        there &= (known[place] == hashes) & (counts[place] == 1)
        ends.append(pairs[at[place], 1].astype(np.int64))
    _union(parent, ends[0], ends[1], there)


def _join_translations(
    packets: Any, streams: Streams, parent: Codes, edges: _Edges, tuples: Keys, sizes: Codes
) -> None:
    segment = roots(parent)
    # A class is about as large as its busiest stream: each packet is one row in each.
    size = np.zeros(len(segment), np.int64)
    np.maximum.at(size, segment, sizes)
    exact = np.isin(unordered(tuples[edges.left], tuples[edges.right]), streams.proven)
    left, right = segment[edges.left], segment[edges.right]
    codes, where = factorise(pair_keys(np.minimum(left, right), np.maximum(left, right)))
    total = np.bincount(codes, weights=edges.votes, minlength=len(where)).astype(np.int64)
    total[codes[exact]] = CERTAIN
    merged = _Edges(left[where], right[where], total)
    one_step = are_translations(
        packets, streams.first[edges.left[where]], streams.first[edges.right[where]]
    )
    # Both sides rewritten is rarer than one: it needs half of the packets, not a quarter.
    allowed = _enough(merged, size, 0.25) & (one_step | _enough(merged, size, 0.5))
    _union(parent, merged.left, merged.right, allowed)


def _join_guesses(
    packets: Any, identity: Identity, streams: Streams, parent: Codes, groups: Groups, time: Codes
) -> bool:
    # Whether any were made.
    segment = roots(parent)
    rows = guesses(packets, *groups, segment[streams.stream], streams.stream, time)
    if not len(rows[0]):
        return False
    size = np.zeros(len(segment), np.int64)
    np.maximum.at(size, segment, streams.count)
    edges = _counted((segment[streams.stream[rows[0]]], segment[streams.stream[rows[1]]]))
    shared = _shared_time(segment[streams.stream], time, edges)
    allowed = (edges.votes >= 2) & (
        edges.votes >= 0.5 * shared * np.minimum(size[edges.left], size[edges.right])
    )
    _unite_apart(identity, streams, parent, edges.where(allowed))
    return bool(allowed.any())


def _shared_time(segment: Codes, time: Codes, edges: _Edges) -> NDArray[np.float64]:
    # The share of its time that the shorter-lived of two classes was there beside the other: one
    # whose capture began late, or stopped early, can have no more votes than that.
    begin = np.full(int(segment.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    end = np.full(len(begin), np.iinfo(np.int64).min)
    np.minimum.at(begin, segment, time)
    np.maximum.at(end, segment, time)
    both = np.minimum(end[edges.left], end[edges.right])
    both = both - np.maximum(begin[edges.left], begin[edges.right])
    longer = np.maximum(end[edges.left] - begin[edges.left], end[edges.right] - begin[edges.right])
    share: NDArray[np.float64] = np.clip(both / np.maximum(longer, 1), 0.2, 1.0)
    return share


def _join_answers(batch: ObservationBatch, streams: Streams, parent: Codes, tuples: Keys) -> None:
    # What is translated one way is translated back: tuples that are one flow have reversed ones
    # that are one flow.
    segment = roots(parent)
    order = np.argsort(segment, kind="stable")
    first = np.r_[True, segment[order][1:] != segment[order][:-1]]
    head = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    other = tuples[order] != tuples[head]
    if not other.any():
        return
    pairs = np.unique(np.column_stack([head[other], order[other]]), axis=0)
    turned = (reverse_of(batch, streams.first[pairs[:, 0]]),
              reverse_of(batch, streams.first[pairs[:, 1]]))  # fmt: skip
    _join_proven(parent, tuples, turned)


def _unite_apart(identity: Identity, streams: Streams, parent: Codes, edges: _Edges) -> None:
    # Edges with most votes first. Classes that one link shows at one TTL stay two: a packet passes
    # there once.
    segment = roots(parent)
    heads = streams.first
    where = mixed(identity.link[heads], identity.ttl[heads])
    left, right = segment[edges.left], segment[edges.right]
    wanted = np.unique(np.concatenate([left, right]))
    members = np.flatnonzero(np.isin(segment, wanted))
    links: dict[int, set[int]] = {int(root): set() for root in wanted}
    for stream, root in zip(where[members].tolist(), segment[members].tolist(), strict=True):
        links[root].add(stream)
    for at in np.argsort(-edges.votes, kind="stable").tolist():
        a, b = find_root(parent, int(left[at])), find_root(parent, int(right[at]))
        if a != b and links[a].isdisjoint(links[b]):
            parent[a] = b
            links[b] |= links.pop(a)


def is_proven(a: Keys, b: Keys, proven: Keys) -> NDArray[np.bool_]:
    """Return which pairs of tuple hashes conntrack says are one flow."""
    return np.isin(unordered(a, b), proven)
