"""Other packets that a hop may be, where clocks are bounded from one side only.

Between two such clocks the time a packet takes is known of links that packets beyond doubt took.
On others equal packets may be as far from that as the clocks leave open: each that would do is a
candidate, unless its flow is known to be another one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.core.mixing import mixed
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.hashing import Codes, factorise, grouped
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.nat.streams import Streams, is_proven
from tracer.correlate.nat.tuples import may_translate
from tracer.correlate.order.links import LinkOrder, usual_delay
from tracer.correlate.packets.groups import first_at, sort_groups
from tracer.correlate.packets.identity import OWN, Identity

MOST, LOOK_AROUND = 64, 128  # candidates that are counted; rows before and after that are looked at
ENOUGH, SHARE = 3, 0.25  # of a flow's joins that only one packet would do: it is known then


def note_rivals(
    packets: Any, identity: Identity, streams: Streams, found: Assembly, before: Codes,
    rows: Codes, links: LinkOrder, clocks: Clocks,
) -> None:  # fmt: skip
    """Count the packets that each hop may be into `found.candidates`, and mark the ambiguous ones.

    `before`: the row that each of `rows` came from, -1 for none.
    """
    sides = clocks.sides
    if sides is None:
        return
    joined = np.flatnonzero(before >= 0)
    near = sides.near[clocks.scale]
    joined = joined[near[before[joined]] != near[rows[joined]]]
    if len(clocks.apart):  # nothing compares their clocks: joins claim nothing anyway
        joined = joined[clocks.apart[before[joined]] == clocks.apart[rows[joined]]]
    a, b = before[joined], rows[joined]
    if not len(a):
        return
    settled = np.zeros(int(streams.flow_class.max(initial=-1)) + 1, np.bool_)
    settled[streams.flow_class[b[_is_told(identity, streams, a, b)]]] = True
    timed = (identity.traits[b] & OWN == 0) & _is_unheard(a, b, links.usual)
    time = clocks.joining_ns
    pairs = (a[timed], b[timed])
    given = (_alike(identity, found, time), time, sides.far_ns, streams.flow_class)
    several = np.ones(len(a), np.int64)
    several[timed] = _several(packets, pairs, *given, settled)
    klass = streams.flow_class[b]
    clear = np.bincount(klass[several == 1], minlength=len(settled))
    settled |= (clear >= ENOUGH) & (clear >= SHARE * np.bincount(klass, minlength=len(settled)))
    several[timed] = _several(packets, pairs, *given, settled)
    found.ambiguous[b] |= several > 1
    found.candidates[b] = np.maximum(found.candidates[b], several)


def _is_told(identity: Identity, streams: Streams, a: Codes, b: Codes) -> NDArray[np.bool_]:
    # Whether tuples say that two rows are of one flow, or conntrack does.
    same = identity.flow[a] == identity.flow[b]
    if len(streams.proven):
        same |= is_proven(streams.named[a], streams.named[b], streams.proven)
    told: NDArray[np.bool_] = same
    return told


@jit
def _is_unheard(a: Codes, b: Codes, links: Any) -> NDArray[np.bool_]:
    out = np.empty(len(a), np.bool_)
    for i in range(len(a)):
        out[i] = usual_delay(links, a[i], b[i]) < 0
    return out


def _alike(identity: Identity, found: Assembly, time: Codes) -> tuple[Codes, Codes, Codes]:
    # Which rows are equal packets at one link and TTL: a code of each row, and the rows of each
    # code in order of time.
    key = mixed(mixed(identity.packet, identity.link), identity.ttl)
    code, firsts = factorise(key)
    usable = identity.usable & (found.copy_of < 0)
    order, starts = grouped(np.where(usable, code, -1), len(firsts))
    nothing = np.zeros(len(time), np.int64)
    sort_groups(order, starts, nothing, time, nothing)
    return code, order, starts


@jit
def _several(
    p: Any,
    pairs: Any,
    alike: Any,
    time: Codes,
    far_ns: int,
    klass: Codes,
    settled: NDArray[np.bool_],
) -> Codes:
    # How many rows like each pair's second one its first one may go on to, or how many like its
    # first one may have come to its second one, whichever are more. `settled`: of each class.
    code, order, starts = alike
    first, second = pairs
    out = np.ones(len(first), np.int64)
    for i in range(len(first)):
        for end in range(2):
            own, other = (second[i], first[i]) if end == 0 else (first[i], second[i])
            start, stop = starts[code[own]], starts[code[own] + 1]
            since = min(time[own], time[other]) - far_ns
            until = max(time[own], time[other]) + far_ns
            low = max(
                first_at(order, start, stop, time, since),
                first_at(order, start, stop, time, time[own]) - LOOK_AROUND,
            )
            stop = min(stop, low + 2 * LOOK_AROUND)
            count = 1
            while low < stop and time[order[low]] <= until and count < MOST:
                row = order[low]
                low += 1
                if row == own:
                    continue
                if klass[row] == klass[other]:
                    count += 1
                elif not settled[klass[row]] and not settled[klass[other]]:
                    a, b = (other, row) if end == 0 else (row, other)
                    count += may_translate(p, a, b)
            out[i] = max(out[i], count)
    return out
