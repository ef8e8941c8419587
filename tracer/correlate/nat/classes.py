"""Classes: streams whose votes and addresses allow it are one direction of one flow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.jit import jit_plain
from tracer.correlate.hashing import Codes, Keys, factorise, find, pair_keys, roots
from tracer.correlate.nat.apart import clash, seen_of, unite_apart
from tracer.correlate.nat.between import between
from tracer.correlate.nat.doubt import NULL
from tracer.correlate.nat.guesses import guesses
from tracer.correlate.nat.rhythms import of_one_tuple, translated
from tracer.correlate.nat.streams import Groups, Streams, places_of
from tracer.correlate.nat.tuples import are_translations, unordered
from tracer.correlate.nat.votes import Edges, Voting, all_votes, counted, enough, weak_votes
from tracer.correlate.packets.identity import Identity

MOST_BY_CHANCE = 3  # packets of two flows with equal IP ids, and nothing that tells them apart
CERTAIN = np.iinfo(np.int32).max


def classify(
    batch: ObservationBatch, identity: Identity, streams: Streams, voting: tuple[Voting, ...],
    by_time: Groups, translations: tuple[Keys, Keys], quoted: tuple[Keys, Keys], time: Codes,
    gap_ns: int, links: Any, lifetime: Codes,
) -> None:  # fmt: skip
    """Set `flow_class` and `proven` of the streams.

    `voting` groups are rows of equal fingerprint without copies, sorted by falling TTL and time;
    `by_time` are the bursts in time order. `translations` are proven; `quoted` are those that
    errors show. `lifetime`: of the kernel buffer of each row, -1
    unknown; no element where none was watched.
    """
    packets, stream, flow = batch.packets, streams.stream, identity.flow
    tuples = streams.named[streams.first]
    clear = np.zeros(len(tuples), np.int64)
    edges, by_id = all_votes(packets, identity, streams, voting, clear, time, gap_ns)
    # Votes are counted among the packets that could vote, if those are not too few.
    size = np.maximum(clear, streams.count // 10)
    same = tuples[edges.left] == tuples[edges.right]
    parent = np.arange(len(tuples))
    _union(parent, edges.left, edges.right, same & _likely(identity, streams, edges, size, 0.25))
    doubtful = clear * 10 <= streams.count
    if doubtful.any():
        near = np.isin(tuples, tuples[doubtful])
        weak = counted(weak_votes(packets, *by_time, flow, identity.netns, stream, near, time))
        likely = _likely(identity, streams, weak, streams.count, 0.5)
        _union(parent, weak.left, weak.right, likely)
        size = np.maximum(size, streams.count * doubtful)
    unclear = 2 * clear <= streams.count
    left, right = of_one_tuple(streams, by_time[0], tuples, roots(parent), unclear, time)
    _union(parent, left, right, np.ones(len(left), np.bool_))
    if len(lifetime):
        _join_buffers(parent, stream, tuples, lifetime)
    _join_proven(parent, tuples, translations)
    streams.proven = np.unique(unordered(*translations))
    places = np.zeros(len(tuples), np.uint64)
    if unclear.any() and not len(lifetime):  # buffers of a kernel know better, and so do bytes
        segment = roots(parent)
        places = places_of(identity, streams, np.where(unclear, segment, -1), len(tuples))
    _join_translations(packets, identity, streams, parent, edges.where(~same), tuples, size, places)
    told = _told(parent, tuples, quoted)
    unite_apart(identity, streams, parent, told)
    numbered = by_id.where((by_id.votes >= MOST_BY_CHANCE) & enough(by_id, size, 0.5))
    unite_apart(identity, streams, parent, numbered)
    _join_rhythms(packets, identity, streams, parent, by_time[0], tuples, unclear, time)
    guessed = _join_guesses(batch, identity, streams, parent, voting[1][0], time, tuples, links)
    if doubtful.any():
        _join_between(packets, identity, streams, parent, voting[1][0], time, doubtful)
    if guessed or len(told.votes) or len(numbered.votes) or doubtful.any():
        _join_answers(batch, identity, streams, parent, tuples)
    streams.flow_class = roots(parent)[stream]
    streams.flow_class[~identity.usable] = -1


@jit_plain
def _union(parent: Codes, left: Codes, right: Codes, allowed: NDArray[np.bool_]) -> None:
    for i in range(len(left)):
        if allowed[i]:
            parent[find(parent, left[i])] = find(parent, right[i])


def _likely(
    identity: Identity, streams: Streams, edges: Edges, size: Codes, share: float
) -> NDArray[np.bool_]:
    # On one layer-2 segment (equal MACs) a frame may be flooded: votes spread over many links.
    likely = enough(edges, size, share)
    few = np.flatnonzero(~likely & enough(edges, size, 0.02))
    a, b = streams.first[edges.left[few]], streams.first[edges.right[few]]
    bridged = identity.src_mac[a] == identity.src_mac[b]
    bridged &= identity.dst_mac[a] == identity.dst_mac[b]
    bridged &= (identity.ttl[a] == identity.ttl[b]) & (identity.src_mac[a] != NULL)
    likely[few] = bridged
    return likely


def _join_buffers(parent: Codes, stream: Codes, tuples: Keys, lifetime: Codes) -> None:
    # One buffer that has one tuple at two links. A single packet has too few votes to tell.
    order = np.argsort(lifetime, kind="stable")
    left, right = stream[order[:-1]], stream[order[1:]]
    same = (lifetime[order[:-1]] == lifetime[order[1:]]) & (lifetime[order[1:]] >= 0)
    same &= (left >= 0) & (right >= 0)
    _union(parent, left, right, same & (tuples[left] == tuples[right]))


def _join_proven(parent: Codes, tuples: Keys, translations: tuple[Keys, Keys]) -> None:
    if len(translations[0]):
        left, right = _classes_of(parent, tuples, translations)
        _union(parent, left, right, (left >= 0) & (right >= 0))


def _told(parent: Codes, tuples: Keys, quoted: tuple[Keys, Keys]) -> Edges:
    # Pairs of classes of which errors show that one is the other, translated.
    left = right = np.empty(0, np.int64)
    if len(quoted[0]):
        left, right = _classes_of(parent, tuples, quoted)
    told = (left >= 0) & (right >= 0) & (left != right)
    return counted((left[told], right[told]))


def _classes_of(parent: Codes, tuples: Keys, translations: tuple[Keys, Keys]) -> Codes:
    # The class of each of two tuples, -1 where there is none. A tuple that two tenants have says
    # nothing alone: its streams are joined by votes only.
    codes, where = factorise(np.concatenate([tuples, *translations]))
    own, ends = codes[: len(tuples)], codes[len(tuples) :].reshape(2, -1)
    segment = roots(parent)
    only = np.full(len(where), -1, np.int64)  # the class of each tuple that is in one class
    only[own] = segment
    only[own[only[own] != segment]] = -1
    found: Codes = only[ends]
    return found


def _join_translations(
    packets: Any, identity: Identity, streams: Streams, parent: Codes, edges: Edges, tuples: Keys,
    sizes: Codes, places: Keys,
) -> None:  # fmt: skip
    segment = roots(parent)
    # A class is about as large as its busiest stream: each packet is one row in each.
    size = np.zeros(len(segment), np.int64)
    np.maximum.at(size, segment, sizes)
    exact = np.isin(unordered(tuples[edges.left], tuples[edges.right]), streams.proven)
    left, right = segment[edges.left], segment[edges.right]
    codes, where = factorise(pair_keys(np.minimum(left, right), np.maximum(left, right)))
    total = np.bincount(codes, weights=edges.votes, minlength=len(where)).astype(np.int64)
    total[codes[exact]] = CERTAIN
    merged = Edges(left[where], right[where], total)
    one_step = are_translations(
        packets, streams.first[edges.left[where]], streams.first[edges.right[where]]
    )
    # Both sides rewritten is rarer than one: it needs half of the packets, not a quarter.
    allowed = enough(merged, size, 0.25) & (one_step | enough(merged, size, 0.5))
    allowed &= (places[merged.left] & places[merged.right] == 0) | (total == CERTAIN)
    weak = allowed & (total != CERTAIN)
    allowed[weak] = ~clash(identity, streams, segment, merged.where(weak))
    _union(parent, merged.left, merged.right, allowed)


def _join_rhythms(
    packets: Any, identity: Identity, streams: Streams, parent: Codes, rows: Codes, tuples: Keys,
    unclear: NDArray[np.bool_], time: Codes,
) -> None:  # fmt: skip
    if unclear.any():
        segment = roots(parent)
        pairs = translated(packets, identity, streams, rows, tuples, segment, unclear, time)
        unite_apart(identity, streams, parent, counted(pairs))


def _join_guesses(
    batch: ObservationBatch, identity: Identity, streams: Streams, parent: Codes, groups: Groups,
    time: Codes, tuples: Keys, links: Any,
) -> bool:  # fmt: skip
    # Whether any were made.
    segment = roots(parent)
    rows = guesses(batch.packets, *groups, segment[streams.stream], streams.stream, time, links)
    if not len(rows[0]):
        return False
    size = np.zeros(len(segment), np.int64)
    np.maximum.at(size, segment, streams.count)
    edges = counted((segment[streams.stream[rows[0]]], segment[streams.stream[rows[1]]]))
    shared = _shared_time(segment[streams.stream], time, edges)
    possible = shared * np.minimum(size[edges.left], size[edges.right])
    back_votes, back_possible = _of_answers(
        batch, identity, streams, parent, tuples, edges, possible
    )
    edges.votes += back_votes
    known = edges.votes >= 2
    allowed = known & (edges.votes >= 0.5 * (possible + back_possible))
    unite_apart(identity, streams, parent, edges.where(allowed))
    return bool(allowed.any())


def _of_answers(
    batch: ObservationBatch, identity: Identity, streams: Streams, parent: Codes, tuples: Keys,
    edges: Edges, possible: NDArray[np.float64],
) -> tuple[Codes, NDArray[np.float64]]:  # fmt: skip
    # Of each guess the votes that the classes which answer have, and how many they could have:
    # what is translated one way is translated back. Where those are seen to be two flows the guess
    # is wrong.
    turned = [streams.answers(batch)[side] for side in (edges.left, edges.right)]
    ends = np.sort(_classes_of(parent, tuples, (turned[0], turned[1])), axis=0)
    votes, most = np.zeros(len(possible), np.int64), np.zeros(len(possible))
    back = np.flatnonzero((ends[0] >= 0) & (ends[0] != ends[1]))
    if not len(back):
        return votes, most
    seen = seen_of(identity, streams, roots(parent), np.unique(ends[:, back]))
    two = [seen[a].is_two_with(seen[b]) for a, b in ends[:, back].T.tolist()]
    most[back[two]] = np.inf
    keys, asked = pair_keys(edges.left, edges.right), pair_keys(ends[0][back], ends[1][back])
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys[order], asked), len(keys) - 1)]
    found = keys[at] == asked
    votes[back[found]] = edges.votes[at[found]]
    most[back[found]] += possible[at[found]]
    return votes, most


def _join_between(
    packets: Any, identity: Identity, streams: Streams, parent: Codes, groups: Groups, time: Codes,
    doubtful: NDArray[np.bool_],
) -> None:  # fmt: skip
    segment = roots(parent)
    pairs = between(packets, *groups, segment[streams.stream], streams.stream, doubtful, time)
    if not len(pairs[0]):
        return
    size = np.zeros(len(segment), np.int64)
    np.maximum.at(size, segment, streams.count)
    edges = counted(pairs)
    allowed = (edges.votes >= MOST_BY_CHANCE) & enough(edges, size, 0.5)
    unite_apart(identity, streams, parent, edges.where(allowed))


def _shared_time(segment: Codes, time: Codes, edges: Edges) -> NDArray[np.float64]:
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


def _join_answers(
    batch: ObservationBatch, identity: Identity, streams: Streams, parent: Codes, tuples: Keys
) -> None:
    # What is translated one way is translated back: tuples that are one flow have reversed ones
    # that are one flow, unless they are seen to be two.
    segment = roots(parent)
    order = np.argsort(segment, kind="stable")
    first = np.r_[True, segment[order][1:] != segment[order][:-1]]
    head = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    other = tuples[order] != tuples[head]
    if not other.any():
        return
    turned = tuple(streams.answers(batch)[rows[other]] for rows in (head, order))
    left, right = _classes_of(parent, tuples, (turned[0], turned[1]))
    new = (left >= 0) & (right >= 0) & (left != right)
    unite_apart(identity, streams, parent, counted((left[new], right[new])))
