"""Fragments that went no further because others of their datagram did not come so far."""

from typing import Any

import numpy as np

from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, factorise, pair_keys
from tracer.correlate.packets.fragments import datagrams
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.spans import spans

INCOMPLETE = "not all fragments of its datagram came here, so that nobody can put it together"


def incomplete(packets: Any, identity: Identity, last: Codes, which: Codes) -> Codes:
    """Return which journeys end where fragments of their datagram are missing.

    `last`: the row each journey was last seen in; `which`: the journeys to look at.
    """
    pieces = (packets["frag_offset"] > 0) | (packets["more_fragments"] == 1)
    which = which[pieces[last[which]]]
    if not len(which):
        return which
    rows = np.flatnonzero(pieces)
    code, _ = factorise(mixed(datagrams(packets, rows), identity.place[rows]))
    mine = code[np.searchsorted(rows, last[which])]
    chosen = np.isin(code, mine)
    rows, code = rows[chosen], code[chosen]
    begin, end = spans(packets, rows)
    _, once = factorise(pair_keys(code, begin))
    size = np.bincount(code[once], (end - begin)[once], minlength=int(code.max()) + 1)
    total = np.full(len(size), np.iinfo(np.int64).max)
    closing = packets["more_fragments"][rows] != 1
    total[code[closing]] = end[closing]
    found: Codes = which[size[mine] < total[mine]]
    return found
