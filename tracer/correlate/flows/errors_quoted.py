"""ICMP errors and the journeys of the packets they quote."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.nat.streams import Streams
from tracer.correlate.nat.tuples import hashes_of
from tracer.correlate.packets.identity import Identity, sides_of_nat
from tracer.correlate.packets.mirrors import apart
from tracer.correlate.packets.quotes import is_kept

WAIT_NS = 60_000_000_000  # an error about a packet is sent at once; queues and probes delay it
#: What answers a packet that is freed after that was seen so much before it at most.
LATE_NS = 1_000_000
IPV4, REDIRECT = 4, 5


def _quoted_tuples(quoted: Any) -> Keys:
    # As `Identity.flow` is of the packets themselves.
    numbers = [quoted[f"inner_{name}"] for name in ("proto", "sport", "dport", "icmp_id")]
    halves = [quoted[f"inner_{end}_{half}"] for end in ("src", "dst") for half in ("hi", "lo")]
    hashes: Keys = hashes_of(np.column_stack(halves), np.column_stack(numbers).astype(np.int64))
    return hashes


def _quoted_keys(quoted: Any, identity: Identity) -> Keys:
    flow = _tuples_beside(quoted, identity)
    number = np.maximum(quoted["inner_tcp_seq"], quoted["inner_icmp_seq"])
    return mixed(mixed(flow, quoted["inner_ip_id"]), number)


def _tuples_beside(quoted: Any, identity: Identity) -> Keys:
    # A copy of an error is about the copy of a packet.
    tuples, mirrored = _quoted_tuples(quoted), identity.mirrored
    return apart(tuples, mirrored[quoted["row"]]) if len(mirrored) else tuples


def _packet_keys(packets: Any, identity: Identity) -> Keys:
    number = np.maximum(packets["tcp_seq"], packets["icmp_seq"])
    return mixed(mixed(identity.flow, packets["ip_id"]), number)


def _outer_keys(records: Any, prefix: str) -> Keys:
    # Of a packet as those between the ends of a tunnel see it.
    hashes = np.full(len(records), 17, np.uint64)
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "ip_id"):
        hashes = mixed(hashes, records[prefix + name])
    return hashes


def _asked_and_known(
    batch: ObservationBatch, identity: Identity, quoted: Any
) -> tuple[tuple[Keys, Codes], tuple[Keys, Codes]]:
    # Keys of what is quoted, each with its record, and keys of packets, each with its row.
    asked, records = _quoted_keys(quoted, identity), np.arange(len(quoted))
    keys, rows = _packet_keys(batch.packets, identity), np.arange(len(batch))
    tunnel = batch.sections["tunnel"]
    tunnel = tunnel[tunnel["outer_ip_id"] > 0]
    if len(tunnel):
        asked = np.concatenate([asked, _outer_keys(quoted, "inner_")])
        records = np.concatenate([records, records])
        keys = np.concatenate([keys, _outer_keys(tunnel, "outer_")])
        rows = np.concatenate([rows, tunnel["row"].astype(np.int64)])
    return (asked, records), (keys, rows)


def quotes(
    batch: ObservationBatch, identity: Identity, journey: Codes, time: Codes, journeys: int
) -> tuple[Codes, Codes]:
    """Return for each journey the one whose packet it quotes, -1 for none; and further ones, as
    (error, quoted), shape (pairs, 2).

    NAT rewrites the quote as it rewrites the error, so at some hop the quote shows the very tuple,
    IP id and number that the packet had at some hop of its own. Where the packet itself could not
    be followed through the NAT, a later hop of the error quotes the rest of it. Who is between the
    ends of a tunnel quotes the packet that carries it.
    """
    found = np.full(journeys, -1, np.int64)
    quoted = batch.sections["quoted"]
    quoted = quoted[journey[quoted["row"]] >= 0]
    if not len(quoted):
        return found, np.empty((0, 2), np.int64)
    (asked, records), (keys, shown) = _asked_and_known(batch, identity, quoted)
    candidates = np.flatnonzero(np.isin(keys, asked) & (journey[shown] >= 0))
    candidates = candidates[np.lexsort((time[shown[candidates]], keys[candidates]))]
    order = shown[candidates]
    known, starts = np.unique(keys[candidates], return_index=True)
    stops = np.append(starts[1:], len(order))
    errors = quoted["row"]
    by = np.full(journeys, -1, np.int64)  # which key told it
    further = []  # record and journey
    places = np.minimum(np.searchsorted(known, asked), max(len(known) - 1, 0))
    seen = np.flatnonzero(known[places] == asked) if len(known) else places[:0]
    for place in seen[np.argsort(time[errors[records[seen]]], kind="stable")]:
        i, at = records[place], places[place]
        own = journey[errors[i]]
        if by[own] == at:
            continue
        rows = order[starts[at] : stops[at]]
        before = _not_later(identity.clock, time, rows, errors[i])
        before = _with_bytes(batch.packets["payload_digest"], before, quoted[i])
        if not len(before) or time[errors[i]] - time[before[-1]] > WAIT_NS:
            continue
        about = journey[before[-1]]
        if found[own] < 0:
            found[own], by[own] = about, at
        elif found[own] != about:
            further.append((i, about))
    of, others = np.array(further, np.int64).reshape(-1, 2).T
    first = found[journey[errors[of]]]
    unseen = ~_shows(identity.flow, journey, first, _tuples_beside(quoted[of], identity))
    return found, np.column_stack([journey[errors[of]], others])[unseen]


def is_redirect(packets: Any, rows: Codes) -> NDArray[np.bool_]:
    """Return whether errors, at some rows, tell of a better way: they quote what was sent on
    (RFC 792, page 12). Those of ICMPv6 are no errors.
    """
    found: NDArray[np.bool_] = packets["icmp_type"][rows] == REDIRECT
    found &= packets["ip_version"][rows] == IPV4
    return found


def _shows(flow: Keys, journey: Codes, which: Codes, tuples: Keys) -> NDArray[np.bool_]:
    # Whether each journey of `which` shows a tuple at one of its hops.
    rows = np.flatnonzero(np.isin(journey, which))
    codes, _ = factorise(np.concatenate([flow[rows], tuples]))
    shown = pair_keys(journey[rows], codes[: len(rows)])
    found: NDArray[np.bool_] = np.isin(pair_keys(which, codes[len(rows) :]), shown)
    return found


def _not_later(clock: Codes, time: Codes, rows: Codes, error: int) -> Codes:
    # Those that may be what an error tells of; by another clock they may seem to be later than it.
    # If there is none, the next one: a rule answers before it ends what it refuses.
    before = rows[: np.searchsorted(time[rows], time[error] + LATE_NS, "right")]
    found: Codes = before[(time[before] <= time[error]) | (clock[before] != clock[error])]
    return found if len(found) else before[:1]


# Those whose bytes the quote shows; all where it shows too few to say, or nobody captured any.
def _with_bytes(digests: Keys, rows: Codes, quoted: Any) -> Codes:
    alike = rows[digests[rows] == quoted["inner_payload_digest"]]
    return alike if len(alike) and quoted["inner_payload_digest"] != 0 else rows


def streams_quoted(batch: ObservationBatch, stream: Codes) -> Codes:
    """Return the stream of each row, where errors about packets of several tuples have several.

    Errors of one router to one host are one stream; a copy of one quotes the same tuple, too.
    """
    quoted = batch.sections["quoted"]
    if not len(quoted):
        return stream
    rows = quoted["row"]
    codes, _ = factorise(mixed(_quoted_tuples(quoted), stream[rows]))
    found = stream.copy()
    found[rows] = int(stream.max()) + 1 + codes
    return found


def translations_quoted(
    batch: ObservationBatch, groups: tuple[Codes, Codes], doubt: NDArray[np.bool_]
) -> tuple[Keys, Keys]:
    """Return pairs of tuple hashes that one error quotes before and after NAT rewrote it.

    `groups`: rows of equal fingerprint, those of a packet in order of travel where not in `doubt`.
    """
    quoted = batch.sections["quoted"]
    if not len(quoted):
        return np.empty(0, np.uint64), np.empty(0, np.uint64)
    order, starts = groups
    number = np.full(len(batch), -1, np.int64)
    # Of errors without any number several may look like one.
    own = batch.packets["ip_id"][quoted["row"]] > 0
    own |= np.maximum(quoted["inner_ip_id"], quoted["inner_tcp_seq"]) > 0
    number[quoted["row"][own]] = np.flatnonzero(own)
    at = np.flatnonzero(number[order] >= 0)
    group = np.searchsorted(starts, at, "right") - 1
    pairs = np.flatnonzero((np.diff(group) == 0) & ~doubt[group[1:]])
    tuples = _quoted_tuples(quoted)[number[order[at]]]
    pairs = pairs[tuples[pairs] != tuples[pairs + 1]]
    return tuples[pairs], tuples[pairs + 1]


def parted_errors(batch: ObservationBatch, identity: Identity, streams: Streams) -> Codes:
    """Return the class of each row, where errors about packets of several flows have several.

    The quote shows a flow as it is named on that side of a NAT; which names are one flow the
    packets quoted have shown. It counts where it is known of all errors that are alike otherwise.
    """
    quoted = batch.sections["quoted"]
    about = _flow_quoted(quoted, identity, streams)
    rows = quoted["row"]
    keys = identity.packet[rows]
    group, _ = factorise(keys)
    known = np.bincount(group[about < 0], minlength=int(group.max(initial=-1)) + 1) == 0
    parted = known[group] & is_kept(keys, mixed(keys, about), sides_of_nat(batch, identity, rows))
    if not parted.any():
        return streams.flow_class
    found = streams.flow_class.copy()
    found[rows[parted]] = int(found.max()) + 1 + about[parted]
    return found


def _flow_quoted(quoted: Any, identity: Identity, streams: Streams) -> Codes:
    # The class of the packets that have the quoted tuple, -1 where several have, or none.
    tuples = identity.flow[streams.first]
    of = streams.flow_class[streams.first]
    order = np.lexsort((of, tuples))
    known, begins = np.unique(tuples[order], return_index=True)
    low, high = of[order][begins], of[order][np.append(begins[1:], len(order)) - 1]
    asked = _quoted_tuples(quoted)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    found: Codes = np.where((known[at] == asked) & (low[at] == high[at]), low[at], -1)
    return found
