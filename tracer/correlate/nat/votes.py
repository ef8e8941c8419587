"""Votes: packets that are clearly one at several points say that their streams belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import GROUP_BIT
from tracer.core.jit import inner_plain, jit
from tracer.core.protocols import TCP
from tracer.correlate.hashing import Codes, Keys, factorise, filled, pair_keys
from tracer.correlate.nat.doubt import NULL
from tracer.correlate.nat.streams import Groups, Streams
from tracer.correlate.nat.tuples import began_apart, is_translation, may_translate, stays
from tracer.correlate.packets.groups import sort_rows
from tracer.correlate.packets.identity import Identity

Voting = tuple[Groups, NDArray[np.bool_]]  # groups, and which of them are in doubt
LOOK_AHEAD = 24
GROUP = np.uint64(GROUP_BIT)


@dataclass(slots=True)
class Edges:
    """Pairs of streams, or of classes, `left` and `right`, and how many packets vote for each."""

    left: Codes
    right: Codes
    votes: Codes

    def where(self, which: NDArray[np.bool_]) -> "Edges":
        """Return some of them."""
        return Edges(self.left[which], self.right[which], self.votes[which])


@inner_plain
def is_adjacent(p: Any, a: int, b: int) -> bool:
    """Return whether MACs allow rows `a` and `b` to be one packet: same TTL means bridged."""
    x, y = p[a], p[b]
    if x.ttl != y.ttl or x.src_mac == NULL or y.src_mac == NULL:
        return True
    return bool(x.src_mac == y.src_mac or x.dst_mac == y.dst_mac)


@inner_plain
def _is_one(p: Any, a: int, b: int) -> bool:
    # Of several translations an IP id and a port that one host chose leave little to chance.
    return bool(is_translation(p, a, b) or (p[a].ip_id > 0 and may_translate(p, a, b)))


@jit
def _votes(
    p: Any, order: Codes, starts: Codes, doubt: NDArray[np.bool_], flow: Keys, stream: Codes,
    dst_mac: Keys, rare: NDArray[np.bool_], clear: Codes, time: Codes, gap_ns: int,
) -> tuple[Codes, Codes, Codes, int]:  # fmt: skip
    # Pairs of streams, and how many votes each has: a pair comes again where its first stream had
    # another partner in between. The last ones, from where they begin on, rest on the IP id alone,
    # or on the number of an echo.
    first = np.empty(len(order), np.int64)
    second = np.empty(len(order), np.int64)
    votes = filled(len(order), 1)
    latest = filled(len(clear), -1)  # pair of each stream
    count, end = 0, len(order)
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        if len(rows) < 2 or doubt[group]:
            continue
        clear[stream[rows[0]]] += 1
        # What is sent to all comes to the ends of its branches now in this order and now in that.
        flooded = dst_mac[rows[0]] & GROUP != 0 and dst_mac[rows[0]] != NULL
        for i in range(1, len(rows)):
            a, b = rows[0 if flooded else i - 1], rows[i]
            clear[stream[b]] += 1
            same = flow[a] == flow[b]  # looked at first: no record has to be read for that
            apart = not same and (began_apart(p, a, b) or stays(p, a) or stays(p, b))
            may_change = rare[group] and not apart
            if same or may_change or _is_one(p, a, b):
                pair = latest[stream[a]]
                if pair >= 0 and second[pair] == stream[b]:
                    votes[pair] += 1
                    continue
                first[count], second[count] = stream[a], stream[b]
                latest[stream[a]] = count
                count += 1
            elif (
                not apart
                and p[a].ttl > p[b].ttl
                and (p[a].ip_id > 0 or (p[a].icmp_seq >= 0 and time[b] - time[a] <= gap_ns))
            ):
                end -= 1
                first[end], second[end] = stream[a], stream[b]
    whole = count + len(order) - end
    for i in range(end, len(order)):  # a slice as target takes a second to compile
        first[count + i - end], second[count + i - end] = first[i], second[i]
        votes[count + i - end] = 1
    return first[:whole].copy(), second[:whole].copy(), votes[:whole].copy(), count


@inner_plain
def _next_of_tuple(
    p: Any, order: Codes, i: int, stop: int, flow: Keys, netns: Codes, stream: Codes, time: Codes
) -> int:
    # A packet that lost one TTL is next seen where it was routed, if that is captured at all. What
    # has lost none and comes much later than what lost one is the next packet, where this one was.
    a, otherwise = order[i], -1
    for j in range(i + 1, min(stop, i + LOOK_AHEAD)):
        b = order[j]
        fall = p[a].ttl - p[b].ttl
        if flow[a] != flow[b] or fall < 0 or not is_adjacent(p, a, b):
            continue
        if stream[a] == stream[b] and fall == 0:
            continue
        if fall == 0 and otherwise >= 0 and time[b] - time[a] > 2 * (time[otherwise] - time[a]):
            return int(otherwise)
        if fall == 0 or (fall == 1 and netns[a] == netns[b]):
            return int(b)
        if fall > 1:
            return int(b if otherwise < 0 else otherwise)
        if otherwise < 0:
            otherwise = b
    return int(otherwise)


@jit
def weak_votes(
    p: Any, order: Codes, starts: Codes, flow: Keys, netns: Codes, stream: Codes,
    doubtful: NDArray[np.bool_], time: Codes,
) -> tuple[Codes, Codes]:  # fmt: skip
    """Return pairs of streams: each row with the next of its tuple, where little is known of it.

    The groups are in time order, and may be more than one packet; `doubtful`: of each stream. Of
    large ones the rows of a tuple are brought together: those of many others may lie between.
    """
    first = np.empty(len(order), np.int64)
    second = np.empty(len(order), np.int64)
    tuples = flow.view(np.int64)
    nothing = filled(len(flow), 0)
    order = order.copy()
    count = 0
    for group in range(len(starts) - 1):
        if starts[group + 1] - starts[group] > LOOK_AHEAD:
            sort_rows(order, starts[group], starts[group + 1], tuples, nothing, nothing)
        for i in range(starts[group], starts[group + 1]):
            a = order[i]
            if not doubtful[stream[a]]:
                continue
            b = _next_of_tuple(p, order, i, starts[group + 1], flow, netns, stream, time)
            if b >= 0:
                first[count], second[count] = stream[a], stream[b]
                count += 1
    return first[:count].copy(), second[:count].copy()


def counted(pairs: tuple[Codes, Codes], votes: Codes | None = None) -> Edges:
    """Return each pair once, whichever way round, with how often it is there, or its `votes`."""
    first, second = pairs
    codes, where = factorise(pair_keys(np.minimum(first, second), np.maximum(first, second)))
    counts = np.bincount(codes, votes, len(where)).astype(np.int64)
    return Edges(first[where], second[where], counts)


def enough(edges: Edges, size: Codes, share: float) -> NDArray[np.bool_]:
    """Return which edges have votes of that share of the smaller end's packets (`size`)."""
    smaller = np.minimum(size[edges.left], size[edges.right])
    enough: NDArray[np.bool_] = edges.votes >= share * smaller
    return enough


@jit
def _contents(p: Any, order: Codes, starts: Codes) -> tuple[Keys, Codes]:
    # Of each group what its packets carry, and 1 where that is enough to be told by, 2 for TCP.
    content, told = np.empty(len(starts) - 1, np.uint64), np.empty(len(starts) - 1, np.int64)
    for group in range(len(content)):
        r = p[order[starts[group]]]
        content[group] = r.payload_digest ^ np.uint64(np.int64(r.icmp_type))
        told[group] = r.payload_len >= 8 and r.payload_digest != 0
        if r.proto == TCP:
            told[group] = 2
    return content, told


def is_rare(packets: Any, groups: Groups) -> NDArray[np.bool_]:
    """Return which groups have bytes that no other group has: equal by more than by chance."""
    content, told = _contents(packets, *groups)
    codes, where = factorise(content)
    alone = np.bincount(codes, minlength=len(where))[codes] == 1
    rare: NDArray[np.bool_] = (told == 2) | (alone & (told == 1))
    return rare


def all_votes(
    packets: Any, identity: Identity, streams: Streams, voting: tuple[Voting, ...], clear: Codes,
    time: Codes, gap_ns: int,
) -> tuple[Edges, Edges]:  # fmt: skip
    """Return votes by everything, and those by IP ids or by numbers of echoes, where nothing else
    speaks for some: chance makes such, too.

    `clear`, of each stream, is counted up: packets beyond doubt.
    """
    parts = [
        _votes(packets, *groups, doubt, identity.flow, streams.stream, identity.dst_mac,
               is_rare(packets, groups), clear, time, gap_ns)
        for groups, doubt in voting
    ]  # fmt: skip
    all_of = _together([(first[:n], second[:n], votes[:n]) for first, second, votes, n in parts])
    by_id = _together([(first[n:], second[n:], votes[n:]) for first, second, votes, n in parts])
    _add(by_id, all_of)
    return all_of, by_id


def _together(parts: Sequence[tuple[Codes, Codes, Codes]]) -> Edges:
    first, second, votes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return counted((first, second), votes)


def _add(edges: Edges, others: Edges) -> None:
    # Of the same pairs: what bytes say of some packets adds to what IP ids say of the rest.
    keys, more = pair_keys(edges.left, edges.right), pair_keys(others.left, others.right)
    order = np.argsort(more)
    if len(more):
        at = order[np.minimum(np.searchsorted(more[order], keys), len(more) - 1)]
        edges.votes += np.where(more[at] == keys, others.votes[at], 0)
