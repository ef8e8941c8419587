"""What tells ICMP errors apart: the packet they quote, as far as no NAT on the way rewrote it."""

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.mixing import mixed
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys

_ABOUT = ("icmp_type", "icmp_code", "ip_id", "payload_len")
_QUOTED = ("inner_ip_id", "inner_proto", "inner_ttl", "inner_icmp_seq", "inner_tcp_seq")
_SIDES = ("src", "sport"), ("dst", "dport")


def quote_keys(batch: ObservationBatch, place: Codes) -> Keys:
    """Return a hash of the quote of each error (uint64, a record of the section `quoted` each).

    `place`: of each error, apart on both sides of a NAT (`sides_of_nat`).
    """
    quoted = batch.sections["quoted"]
    rows = quoted["row"]
    keys: Keys = np.full(len(rows), 0xE44, np.uint64)
    for name in _ABOUT:
        keys = mixed(keys, batch.packets[name][rows])
    for name in _QUOTED:
        keys = mixed(keys, quoted[name])
    # One packet has one digest, or none where too little was captured or a source tells none.
    if (quoted["inner_payload_digest"] != 0).all():
        keys = mixed(keys, quoted["inner_payload_digest"])
    sides = [_side(quoted, *names) for names in _SIDES]
    kept = [is_kept(keys, side, place) for side in sides]
    for side, lasting in zip(sides, kept, strict=True):
        keys = np.where(lasting, mixed(keys, side), keys)
    return keys


def _side(quoted: StructuredArray, end: str, port: str) -> Keys:
    side: Keys = np.full(len(quoted), 7, np.uint64)
    for name in (f"inner_{end}_hi", f"inner_{end}_lo", f"inner_{port}", "inner_icmp_id"):
        side = mixed(side, quoted[name])
    return side


def is_kept(keys: Keys, side: Keys, place: Codes) -> NDArray[np.bool_]:
    """Return whether no NAT on the way rewrote one `side` of what errors of equal `keys` quote.

    Then some place shows all of its values: what is translated has others beyond the translation.
    """
    group, _ = factorise(keys)
    value, firsts = factorise(mixed(keys * np.uint64(3), side))
    all_of = np.bincount(group[firsts], minlength=int(group.max(initial=-1)) + 1)
    _, seen = factorise(pair_keys(value, place))
    at, where = factorise(pair_keys(group[seen], place[seen]))
    most = np.zeros(len(all_of), np.int64)
    np.maximum.at(most, group[seen[where]], np.bincount(at, minlength=len(where)))
    kept: NDArray[np.bool_] = (most == all_of)[group]
    return kept
