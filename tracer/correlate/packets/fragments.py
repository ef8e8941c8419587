"""Fragments of one datagram, and IPv6 fragments whose ids change on the way.

A router that tracks connections puts fragments together, and cuts the datagram anew where it was
cut before, under an id of its own (Linux `ip6_fragment`). The id then tells packets apart only
between two such routers.
"""

from typing import Any

import numpy as np

from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys

IPV6 = 6
_DATAGRAM = ("src_hi", "src_lo", "dst_hi", "dst_lo", "proto", "ip_id")  # RFC 791


def lasting_ids(packets: Any, place: Codes, content: Keys) -> tuple[Codes, Codes]:
    """Return rows of IPv6 fragments, and their ids, 0 where ids of such fragments change.

    `content` (uint64, by row) is equal for equal fragments, whatever their ids. A place that sees
    all of them sees all their ids, if ids last; more of them than any place has seen, of equal
    fragments, have changed on the way.
    """
    rows = np.flatnonzero((packets["ip_version"] == IPV6) & (packets["ip_id"] >= 0))
    ids = packets["ip_id"][rows].astype(np.int64)
    if not len(rows):
        return rows, ids
    equal, where = factorise(content[rows])
    of_id, first = factorise(pair_keys(equal, ids))
    there = np.unique(np.column_stack([equal, place[rows], of_id]), axis=0)
    at, counts = np.unique(there[:, :2], axis=0, return_counts=True)
    most = np.zeros(len(where), np.int64)
    np.maximum.at(most, at[:, 0], counts)
    changing = np.bincount(equal[first], minlength=len(where)) > most
    return rows, np.where(changing[equal], 0, ids)


def nearest_of_datagram(
    packets: Any, rows: Codes, times: Codes, fragments: Codes, others: Codes,
    place: Keys | None = None,
) -> Codes:  # fmt: skip
    """Return which of `others` is of the same datagram as each of `fragments`, -1 for none.

    Both index `rows`, whose packets they are, `times`, and `place`, which is the same, too, if it
    is given. Of several the nearest in time is taken, of two as near the earlier one.
    """
    found = np.full(len(fragments), -1, np.int64)
    if not len(fragments) or not len(others):
        return found
    both = np.concatenate([others, fragments])
    keys = datagrams(packets, rows[both])
    code = factorise(keys if place is None else mixed(keys, place[both]))[0]
    order = np.lexsort((times[both], code))
    at, is_other = np.arange(len(order)), order < len(others)
    before = np.maximum.accumulate(np.where(is_other, at, -1))
    after = np.minimum.accumulate(np.where(is_other, at, len(order))[::-1])[::-1]
    nearest, away = np.full(len(order), -1, np.int64), np.full(len(order), np.iinfo(np.int64).max)
    for side in (before, np.where(after < len(order), after, -1)):
        other = order[side]  # where there is none it is another one, of no account
        apart = np.abs(times[both[other]] - times[both[order]])
        nearer = (side >= 0) & (code[other] == code[order]) & (apart < away)
        nearest[nearer], away[nearer] = other[nearer], apart[nearer]
    known = ~is_other & (nearest >= 0)
    found[order[known] - len(others)] = others[nearest[known]]
    return found


def datagrams(packets: Any, rows: Codes) -> Keys:
    """Return a hash of what all fragments of a datagram have in common between two routers."""
    key = np.full(len(rows), 31, np.uint64)
    for name in _DATAGRAM:
        key = mixed(key, packets[name][rows])
    return key
