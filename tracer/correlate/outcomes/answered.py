"""Where a packet that was flooded got to: on the branch that leads to who answered it."""

from typing import Any

import numpy as np

from tracer.core.enums import Kind
from tracer.core.jit import inner_plain, jit
from tracer.core.protocols import SOLICITATION
from tracer.correlate.hashing import Codes, filled
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.one_link import is_for_group


def answered_at(packets: Any, identity: Identity, paths: Paths, copy_of: Codes) -> Codes:
    """Return for each journey the index of the hop on the way to who answered, -1 for the usual.

    It is the latest hop where the answer was first seen; else the only branch that ended in that
    namespace; else, of a frame that was flooded, where its branches part, for it is not known which
    of them led there. Where nothing tells where branches part (no MACs), only questions for a
    neighbour's MAC are known to be flooded. `copy_of`: of each row. `paths.end` becomes it where a
    branch ended there.
    """
    found = np.full(len(paths.kind), -1, np.int64)
    usual = paths.end == paths.starts[1:] - 1
    which = np.flatnonzero((paths.reply >= 0) & usual & (np.diff(paths.starts) > 2))
    if not len(which):
        return found
    begins = paths.first[paths.reply[which]]
    first = paths.first[which]
    asks = paths.kind[which] == Kind.ARP_REQUEST
    asks |= (packets["icmp_type"][first] == SOLICITATION) & (packets["ip_version"][first] == 6)
    where = (identity.place, identity.netns)
    found[which], ends = _ends(
        paths.hops, paths.starts, paths.parent, which, begins, asks, where, copy_of,
        identity.dst_mac,
    )  # fmt: skip
    paths.end[which[ends >= 0]] = ends[ends >= 0]
    return found


@jit
def _ends(
    hops: Codes, starts: Codes, parent: Codes, which: Codes, begins: Codes, asks: Any, where: Any,
    copy_of: Codes, dst_mac: Any,
) -> tuple[Codes, Codes]:  # fmt: skip
    # Of each chosen journey, whose answer begins at row `begins`: the hop, and the same if it is
    # the end of a branch.
    place, netns = where
    found, ends = filled(len(which), -1), filled(len(which), -1)
    children = np.zeros(len(hops), np.int64)
    for k in range(len(which)):
        start, stop = starts[which[k]], starts[which[k] + 1]
        if not _count(hops, start, stop, parent, copy_of, children) and not asks[k]:
            continue
        at = _latest(hops, start, stop, place, place[begins[k]], copy_of)
        if at < 0 and netns[begins[k]] >= 0:
            at = _only_end(hops, start, stop, netns, netns[begins[k]], copy_of, children)
        if at < 0 and (asks[k] or is_for_group(dst_mac[hops[start]])):
            at = _parting(hops, start, stop, parent, copy_of, children)
        found[k] = at
        if at >= 0 and children[at] == 0:
            ends[k] = at
    return found, ends


@inner_plain
def _count(
    hops: Codes, start: int, stop: int, parent: Codes, copy_of: Codes, children: Codes
) -> bool:
    # Fills how many hops come from each; returns whether from some hop several.
    forked = False
    for i in range(start, stop):
        if parent[i] > 0 and copy_of[hops[i]] < 0:
            before = start + parent[i] - 1
            children[before] += 1
            forked = forked or children[before] > 1
    return forked


@inner_plain
def _latest(hops: Codes, start: int, stop: int, spaces: Codes, here: int, copy_of: Codes) -> int:
    for i in range(stop - 1, start - 1, -1):
        if spaces[hops[i]] == here and copy_of[hops[i]] < 0:
            return i
    return -1


@inner_plain
def _only_end(
    hops: Codes, start: int, stop: int, spaces: Codes, here: int, copy_of: Codes, children: Codes
) -> int:
    found = -1
    for i in range(start, stop):
        if spaces[hops[i]] == here and copy_of[hops[i]] < 0 and children[i] == 0:
            if found >= 0:
                return -1
            found = i
    return found


@inner_plain
def _parting(
    hops: Codes, start: int, stop: int, parent: Codes, copy_of: Codes, children: Codes
) -> int:
    at = start
    while children[at] == 1:
        i = at + 1
        while start + parent[i] - 1 != at or copy_of[hops[i]] >= 0:
            i += 1
        at = i
    return at
