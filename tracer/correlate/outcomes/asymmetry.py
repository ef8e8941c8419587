"""Answers that came back another way than the questions went."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.point import Direction, Point
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.outcomes.watched import are_watched
from tracer.correlate.packets.identity import Identity

NAMED = 3  # devices named of each way
_OUT, _BACK = 1, 2


def other_ways(
    batch: ObservationBatch, identity: Identity, paths: Paths, journeys: StructuredArray
) -> list[tuple[int, str]]:
    """Return (journey, words) of answers that came another way than their flow's questions went.

    Each way shows a device that the other never shows; a capture that missed packets does not make
    two ways of one. They are named in the order of the way. Hooks are left out: some see one
    direction only. So are devices by which what IPsec carries comes in, decrypted, for it leaves
    encrypted.
    """
    asked = np.flatnonzero(journeys["reply"] >= 0)
    if not len(asked):
        return []
    lengths = np.diff(paths.starts)
    way = np.zeros(len(journeys), np.int8)
    way[asked], way[journeys["reply"][asked]] = _OUT, _BACK
    hooked = np.array([point.hook is not None for point in batch.points] + [False])
    at = np.flatnonzero(np.repeat(way, lengths))
    at = at[~hooked[batch.packets["point"][paths.hops[at]]]]
    at = at[~_came_unseen(batch, paths, journeys, at)]
    owner = paths.owner(at)
    flow = journeys["flow"][owner].astype(np.int64)
    keys = pair_keys(np.maximum(flow, 0), identity.place[paths.hops[at]])
    codes, firsts = factorise(keys)
    shown = np.zeros((2, len(firsts)), np.bool_)  # whether each way shows each place of each flow
    for side, one in zip(shown, (_OUT, _BACK), strict=True):
        side[codes[way[owner] == one]] = True
    only_out, only_back = (_in_order(keys, firsts[a & ~b]) for a, b in (shown, shown[::-1]))
    flows_out, flows_back = only_out >> np.uint64(32), only_back >> np.uint64(32)
    both = np.intersect1d(flows_out, flows_back)
    if not len(both):
        return []
    mine = (way[owner] == _BACK) & np.isin(keys, only_back) & np.isin(flow, both.astype(np.int64))
    names = _names(batch, identity)
    words = {
        int(each): f"came back over {_listed(only_back[flows_back == each], names)}, "
        f"not over {_listed(only_out[flows_out == each], names)}"
        for each in both
    }
    return [(int(j), words[int(journeys["flow"][j])]) for j in np.unique(owner[mine])]


def _in_order(keys: Keys, firsts: Codes) -> Keys:
    # By flow, then as its packets first passed the places.
    found: Keys = keys[firsts[np.lexsort((firsts, keys[firsts] >> np.uint64(32)))]]
    return found


def _came_unseen(
    batch: ObservationBatch, paths: Paths, journeys: StructuredArray, at: Codes
) -> NDArray[np.bool_]:
    # Which hops are where a packet came into a namespace by a device, though the kernel that was
    # watched showed it leave none: from where it was before, or, an answer, from where it was
    # asked for.
    if not len(batch.sections["kernel"]):
        return np.zeros(len(at), np.bool_)
    watched = are_watched(batch)
    spaces: dict[tuple[str | None, str | None], int] = {}
    space = [spaces.setdefault((p.host, p.netns), len(spaces)) for p in batch.points]
    point = batch.packets["point"].astype(np.int64)
    of_row = np.array([*space, -1])[point]
    hop = np.array([*(p.direction for p in batch.points), Direction.UNKNOWN])[point]
    owner, parent = paths.owner(at), paths.parent[at]
    before = paths.hops[paths.starts[owner] + np.maximum(parent, 1) - 1]
    asked = journeys["request"][owner]
    before = np.where((parent == 0) & (asked >= 0), paths.last[np.maximum(asked, 0)], before)
    rows = paths.hops[at]
    unseen = watched[rows] & watched[before] & (hop[rows] == Direction.INGRESS)
    unseen &= (parent > 0) | (asked >= 0)
    found: NDArray[np.bool_] = (
        unseen & (hop[before] != Direction.EGRESS) & (of_row[rows] != of_row[before])
    )
    return found


def _names(batch: ObservationBatch, identity: Identity) -> dict[int, str]:
    # Devices, with host and namespace where several are called alike.
    points: Codes = batch.packets["point"].astype(np.int64)
    places, rows = np.unique(identity.place, return_index=True)
    found = {
        int(place): batch.points[points[row]]
        for place, row in zip(places, rows, strict=True)
        if points[row] >= 0
    }
    times = Counter(point.name for point in found.values())
    return {
        place: point.name if times[point.name] == 1 else _whole_name(point)
        for place, point in found.items()
    }


def _whole_name(point: Point) -> str:
    return "/".join(part for part in (point.host, point.netns, point.name) if part)


def _listed(keys: Keys, names: dict[int, str]) -> str:
    places = [names.get(int(key & np.uint64(0xFFFFFFFF)), "?") for key in keys]
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return ", ".join(places[:NAMED]) + more
