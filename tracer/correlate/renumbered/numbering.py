"""The batch with its TCP numbers in one numbering, where something on the way shifts them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.mixing import GOLDEN, mixed
from tracer.core.protocols import TCP
from tracer.core.records import copied
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, unite
from tracer.correlate.joining.packets import Packets
from tracer.correlate.renumbered.agreement import Numbers, agreed
from tracer.correlate.renumbered.candidates import candidates
from tracer.correlate.renumbered.handshakes import Handshakes
from tracer.correlate.renumbered.segments import Shared, shared_segments
from tracer.correlate.renumbered.shifts import Shifts, shifts_of
from tracer.correlate.renumbered.sides import ACK, Sides, sides_of

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Renumbered:
    """`batch`: with numbers by which packets can be compared, whichever side they were seen on.

    `numbering`: of each row a number for those that it has on the wire, -1 where nothing else in
    the batch shifts them.
    """

    batch: ObservationBatch
    numbering: Codes


def renumbered(packets: Packets) -> Renumbered | None:
    """Return the batch in one numbering, None if no connection is seen in several.

    `packets` are those that were joined by the numbers that they have.
    """
    batch, identity, time = packets.batch, packets.identity, packets.clocks.time_ns
    chosen = candidates(batch.packets, identity.place, identity.flow, packets.layout)
    if not len(chosen.rows):
        return None
    sides = sides_of(batch, identity, packets.streams, packets.found.journey, chosen.rows, time)
    shared = shared_segments(batch.packets, sides, chosen, identity.flow, time)
    shifts = shifts_of(batch.packets, shared, identity.flow, time)
    known, root = agreed(sides, shifts)
    if not known:
        return None
    return _renumbered(batch, sides, shared, shifts, known, root, time)


def _renumbered(
    batch: ObservationBatch, sides: Sides, shared: Shared, shifts: Shifts,
    known: dict[int, Numbers], root: Codes, time: Codes,
) -> Renumbered:  # fmt: skip
    which = np.array(sorted(known), np.int64)
    turned, shift = np.zeros(sides.count, np.int64), np.zeros((sides.count, 4), np.int64)
    turned[which] = [known[side][0] for side in which.tolist()]
    shift[which] = [known[side][1] for side in which.tolist()]
    is_known = np.zeros(sides.count, np.bool_)
    is_known[which] = True
    handshakes = Handshakes(batch.packets, sides, time)
    edges = shifts.take(np.flatnonzero(shifts.sure & is_known[shifts.a] & is_known[shifts.b]))
    parted = _parted(handshakes, edges, shared, root)
    mine = np.flatnonzero(is_known[sides.side])
    row, side = sides.row[mine], sides.side[mine]
    way = sides.way[mine] ^ turned[side]
    minus = [shift[side, way], shift[side, 1 - way], shift[side, 2 + way], shift[side, 3 - way]]
    salt = np.where(handshakes.opening[mine], parted[side], 0)
    packets = copied(batch.packets)
    _shift(packets, row, minus, salt)
    numbering = np.full(len(batch), -1, np.int64)
    numbering[row] = side
    sections = dict(batch.sections)
    sections["quoted"] = _quoted(batch, row, packets, sections["quoted"])
    return Renumbered(replace(batch, packets=packets, sections=sections), numbering)


def _parted(handshakes: Handshakes, edges: Shifts, shared: Shared, root: Codes) -> Codes:
    # What is added to the numbers of a handshake on each side, so that those of two sides are one
    # only where it passes between them.
    agreeing = shared.take(edges.places_of(shared))
    passes = handshakes.pass_between(edges.a, edges.b, edges.turned, agreeing)
    of = np.arange(len(root))
    unite(of, edges.a[passes], edges.b[passes])
    salt = mixed(np.full(len(of), GOLDEN), of).astype(np.int64) & _MASK
    return np.where(of == of[root], 0, salt)


def _shift(packets: StructuredArray, row: Codes, minus: list[Codes], salt: Codes) -> None:
    # Of an acknowledgement and an echoed time stamp only where there are such.
    answers = packets["tcp_flags"][row] & ACK > 0
    stamped = packets["tcp_tsval"][row] >= 0
    for name, shift, there in (
        ("tcp_seq", minus[0] - salt, np.ones(len(row), np.bool_)),
        ("tcp_ack", minus[1] - salt, answers),
        ("tcp_tsval", minus[2], stamped),
        ("tcp_tsecr", minus[3], stamped & answers),
    ):
        values = packets[name][row].astype(np.int64)
        packets[name][row] = np.where(there, (values - shift) & _MASK, values)


def _quoted(
    batch: ObservationBatch, row: Codes, packets: StructuredArray, quoted: StructuredArray
) -> StructuredArray:
    # What errors quote, with the numbers of the packet that was seen with those at their point.
    at = np.flatnonzero((quoted["inner_proto"] == TCP) & (quoted["inner_tcp_seq"] >= 0))
    if not len(at):
        return quoted
    seen = batch.packets
    asked = _named(quoted, "inner_", at)
    own = _named(seen, "", row)
    asked = mixed(mixed(asked, seen["point"][quoted["row"][at]]), quoted["inner_tcp_seq"][at])
    own = mixed(mixed(own, seen["point"][row]), seen["tcp_seq"][row])
    order = np.argsort(own)
    place = np.minimum(np.searchsorted(own[order], asked), len(own) - 1)
    found = np.flatnonzero(own[order][place] == asked)
    changed = quoted.copy()
    changed["inner_tcp_seq"][at[found]] = packets["tcp_seq"][row[order[place[found]]]]
    return changed


def _named(records: Any, prefix: str, which: Codes) -> Keys:
    # Tuples of TCP packets, as keys.
    key: Keys = np.full(len(which), TCP, np.uint64)
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport"):
        key = mixed(key, records[prefix + name][which])
    return key
