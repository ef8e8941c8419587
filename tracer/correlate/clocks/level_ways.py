"""Which of two places on one link packets pass first, where no TTL tells: by what goes both ways.

Stamps of the two differ by offset plus delay one way, by offset minus delay the other way. So of
packets of two opposite ways the difference is larger for those that go from the first place to the
second, whatever clocks are off by. Clocks drift and are set: packets that follow each other are
compared.
"""

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import GROUP_BIT
from tracer.core.batch import ObservationBatch
from tracer.core.mixing import GOLDEN, mixed
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.nat.doubt import NULL

Times = NDArray[np.int64]
Mask = NDArray[np.bool_]
SURE = 2  # of a way that packets agree on
DEVIATIONS = 3  # of the number that would say so by chance: then many packets agree
FEWEST = 5  # agree if none is against it


def ways_of(batch: ObservationBatch, place: Codes, time: Times, left: Codes, right: Codes) -> Codes:
    """Return for rows of one packet and TTL, at two places, whether it went from left to right.

    1 if so, -1 for the other way, 0 unknown; `SURE` times that where packets agree. For all
    pairs of rows of two places `left` is at the same one of them. Shape (pairs,).
    """
    src, dst = _ends(batch, left)
    places, difference = pair_keys(place[left], place[right]), time[right] - time[left]
    at = time[left]
    signs = _by_ends(places, src, dst, difference, at)
    alone = np.flatnonzero(signs == 0)
    if len(alone):
        signs[alone] = _by_station(
            places[alone], src[alone], dst[alone], difference[alone], at[alone]
        )
    alone = np.flatnonzero(signs == 0)
    if len(alone):  # answers come by other routers than questions go to
        src, dst = (_address(batch.packets, left[alone], end) for end in ("src", "dst"))
        signs[alone] = _by_ends(places[alone], src, dst, difference[alone], at[alone])
    return signs


def _by_ends(places: Keys, src: Keys, dst: Keys, difference: Times, at: Times) -> Codes:
    # 0 where nothing goes between two ends both ways.
    upward = src < dst
    ends = np.minimum(src, dst) * np.uint64(31) ^ np.maximum(src, dst)
    key, where = factorise(ends ^ (places * GOLDEN))
    signs: Codes = _forward(key, len(where), upward, difference, at)[key] * np.where(upward, 1, -1)
    return signs


def _by_station(places: Keys, src: Keys, dst: Keys, difference: Times, at: Times) -> Codes:
    # Answers may go back to another router than the one that asked: but what comes from a station
    # goes the other way than what goes to it, whoever is at the other end.
    known = (src != NULL) & (dst != NULL) & (dst & np.uint64(GROUP_BIT) == 0)
    rows = np.flatnonzero(known)
    signs = np.zeros(len(places), np.int64)
    keys = places[rows] * GOLDEN
    key, where = factorise(np.concatenate([keys ^ src[rows], keys ^ dst[rows]]))
    sent = np.arange(len(key)) < len(rows)
    forward = _forward(key, len(where), sent, np.tile(difference[rows], 2), np.tile(at[rows], 2))
    as_sent, as_taken = forward[key[: len(rows)]], -forward[key[len(rows) :]]
    signs[rows] = np.where(as_sent != 0, as_sent, as_taken)
    return signs


def _forward(key: Codes, keys: int, up: Mask, difference: Times, at: Times) -> Codes:
    # For each key whether what goes `up` is forward, as `ways_of` has it.
    order = np.lexsort((at, key))
    a, b = order[:-1], order[1:]
    turned = (key[a] == key[b]) & (up[a] != up[b])
    a, b = a[turned], b[turned]
    larger = np.sign(difference[b] - difference[a]) * np.where(up[b], 1, -1)
    votes = np.bincount(key[a], larger, keys)
    told = np.bincount(key[a], larger != 0, keys)
    sure = votes * votes > DEVIATIONS**2 * told
    sure |= (np.abs(votes) == told) & (told >= FEWEST)
    ways = [_medians(key[mine], difference[mine], keys) for mine in (up, ~up)]
    middle = np.nan_to_num(ways[0] - ways[1])
    found: Codes = np.where(sure, SURE * np.sign(votes), np.sign(middle)).astype(np.int64)
    return found


def _ends(batch: ObservationBatch, rows: Codes) -> tuple[Keys, Keys]:
    # Who sent each packet to whom: of ARP, whose questions go to all, by whom it asks; by addresses
    # where the MAC of who gets it is not captured.
    packets, arp = batch.packets, batch.sections["arp"]
    src, dst = packets["src_mac"][rows], packets["dst_mac"][rows]
    nobody = np.flatnonzero(dst == NULL)
    if len(nobody):
        src[nobody], dst[nobody] = (_address(packets, rows[nobody], end) for end in ("src", "dst"))
    if len(arp):
        at = np.minimum(np.searchsorted(arp["row"], rows), len(arp) - 1)
        is_arp = arp["row"][at] == rows
        src = np.where(is_arp, arp["arp_sender_ip_lo"][at], src)
        dst = np.where(is_arp, arp["arp_target_ip_lo"][at], dst)
    return src, dst


def _address(packets: NDArray[np.void], rows: Codes, end: str) -> Keys:
    # A hash, which is no group's MAC.
    high, low = packets[f"{end}_hi"][rows], packets[f"{end}_lo"][rows]
    return mixed(mixed(np.full(len(rows), 5, np.uint64), high), low) & ~np.uint64(GROUP_BIT)


def _medians(key: Codes, values: Times, count: int) -> NDArray[np.float64]:
    order = np.lexsort((values, key))
    starts = np.searchsorted(key[order], np.arange(count))
    stops = np.searchsorted(key[order], np.arange(count), side="right")
    out = np.full(count, np.nan)
    there = stops > starts
    out[there] = values[order][(starts[there] + stops[there]) // 2]
    return out
