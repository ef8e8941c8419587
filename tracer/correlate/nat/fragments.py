"""Classes of later fragments, which have no ports: those of the first ones of their datagrams.

Addresses alone are of many flows, and of none where a NAT rewrites both ends. A link that shows a
datagram shows its first fragment as well, mostly; what is known of that holds for the others.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys, roots, union
from tracer.correlate.nat.streams import Groups
from tracer.correlate.packets.fragments import nearest_of_datagram
from tracer.correlate.packets.identity import Identity

TOGETHER_NS = 1_000_000_000  # fragments are sent at once; ids come again
_NONE = np.iinfo(np.int64).max


def by_first_fragments(
    packets: Any, identity: Identity, of_class: Codes, groups: Groups, time: Codes
) -> Codes:
    """Return the class of each row, of later fragments what their first ones say.

    `groups`: rows that may be one packet. Of rows of one class there all are what is known of some,
    unless a place shows that they are of two datagrams; then those of one tuple are, with the same
    exception, and the rest stays what it is. Classes of later fragments are numbers that no other
    packets have.
    """
    later = np.flatnonzero((packets["frag_offset"] > 0) & (of_class >= 0))
    told = _of_first(packets, identity, of_class, later, time)
    if not (told >= 0).any():
        return of_class
    in_group = np.full(len(of_class), -1, np.int64)
    in_group[groups[0]] = np.repeat(np.arange(len(groups[1]) - 1), np.diff(groups[1]))
    grouped = in_group[later] >= 0
    later, told = later[grouped], told[grouped]
    group = in_group[later]
    known = np.flatnonzero(told >= 0)
    said, says = factorise(pair_keys(group[known], told[known]))
    keys = pair_keys(group, of_class[later]), identity.flow[later]
    own, parted = _owners(keys, known, said, identity.spot[later[known]])
    # Classes of a group, and after them what first fragments say there: one where they connect.
    parent = np.arange(len(parted) + len(says))
    joined = ~parted[own[known]]
    union(parent, own[known][joined], len(parted) + said[joined])
    node = roots(parent)
    of_row = node[own]
    of_row[known[~joined]] = node[len(parted) + said[~joined]]
    least = np.full(len(node), _NONE)
    np.minimum.at(least, node[len(parted) :], told[known[says]])
    changed = least[of_row] != _NONE
    found = of_class.copy()
    found[later[changed]] = int(of_class.max()) + 1 + least[of_row[changed]]
    return found


def _of_first(
    packets: Any, identity: Identity, of_class: Codes, later: Codes, time: Codes
) -> Codes:
    # The class of the first fragment that the link of each later one shows nearest in time of its
    # datagram; -1 where it shows none.
    opens = (packets["frag_offset"] == 0) & (packets["more_fragments"] == 1)
    first = np.flatnonzero(opens & (of_class >= 0))
    rows = np.concatenate([first, later])
    which, link = np.arange(len(rows)), mixed(identity.link[rows], identity.ttl[rows])
    found = nearest_of_datagram(
        packets, rows, time[rows], which[len(first) :], which[: len(first)], link
    )
    near = found >= 0
    near[near] = np.abs(time[first[found[near]]] - time[later[near]]) <= TOGETHER_NS
    return np.where(near, of_class[first[found]] if len(first) else -1, -1)


def _owners(
    keys: tuple[Keys, Keys], known: Codes, said: Codes, spot: Codes
) -> tuple[Codes, NDArray[np.bool_]]:
    # Which class of its group each row is of, a code, and which of those are parted; tuples, where
    # classes are.
    own, firsts = factorise(keys[0])
    parted = _are_two(own[known], said, spot, len(firsts))
    if parted.any():
        own, firsts = factorise(np.where(parted[own], mixed(*keys), keys[0]))
        parted = _are_two(own[known], said, spot, len(firsts))
    return own, parted


def _are_two(own: Codes, said: Codes, spot: Codes, classes: int) -> NDArray[np.bool_]:
    # Which classes some place shows of two datagrams.
    there, firsts = factorise(pair_keys(own, spot))
    least, most = said[firsts].copy(), said[firsts].copy()
    np.minimum.at(least, there, said)
    np.maximum.at(most, there, said)
    out = np.zeros(classes, np.bool_)
    out[own[firsts[least != most]]] = True
    return out
