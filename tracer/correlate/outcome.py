"""How a journey ended: delivered, vanished, or cut by the edge of what was captured."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Outcome
from tracer.correlate.exchange import ANSWERABLE
from tracer.correlate.hashing import Codes, Keys, factorise
from tracer.correlate.identity import Identity, mixed

END_SHARE = 0.05  # of a source's packets have to begin at a place for it to be an end
EDGE_NS = 50_000_000


@dataclass(slots=True)
class Paths:
    """Journeys as their `first` and `last` rows, `n_hops`, `kind`, `reply` and last time."""

    first: Codes
    last: Codes
    n_hops: Codes
    kind: NDArray[np.int8]
    reply: Codes
    last_ns: Codes


def _address_at(hashes: Keys, packets: Any, rows: Codes, end: str) -> Keys:
    return mixed(mixed(hashes, packets[f"{end}_hi"][rows]), packets[f"{end}_lo"][rows])


def _is_end(packets: Any, identity: Identity, paths: Paths) -> NDArray[np.bool_]:
    """Whether the last hop is where packets from this destination begin their way."""
    none = np.full(len(paths.first), 3, np.uint64)
    first_at = mixed(none, identity.place[paths.first])
    last_at = mixed(none, identity.place[paths.last])
    source = _address_at(none, packets, paths.first, "src")
    begins = _address_at(first_at, packets, paths.first, "src")
    ends = _address_at(last_at, packets, paths.last, "dst")
    codes, where = factorise(begins)
    sources, _ = factorise(source)
    share = np.bincount(codes) / np.bincount(sources)[sources[where]]
    known = np.unique(begins[where[share >= END_SHARE]])
    return np.isin(ends, known)


def _goes_on(stream: Codes, hops: Codes, last: Codes) -> NDArray[np.bool_]:
    """Whether other packets of the last hop's stream were seen further on."""
    total = np.bincount(stream[hops])
    ending = np.bincount(stream[last], minlength=len(total))
    return (total > ending)[stream[last]]


def outcomes(
    packets: Any, identity: Identity, stream: Codes, hops: Codes, paths: Paths, end_ns: int
) -> NDArray[np.int8]:
    """Return `core.enums.Outcome` of each journey; `hops`: all hop rows; `end_ns`: last stamp.

    The kernel's own word (dropped) is added by `kernel_drops`.
    """
    outcome = np.full(len(paths.first), Outcome.UNFINISHED, np.int8)
    answered = paths.reply >= 0
    end = _is_end(packets, identity, paths)
    further = _goes_on(stream, hops, paths.last)
    unanswered = np.isin(paths.kind, ANSWERABLE) & ~answered
    several = paths.n_hops > 1
    outcome[several & ~further & ~unanswered] = Outcome.DELIVERED
    outcome[further | (several & unanswered)] = Outcome.VANISHED
    at_edge = (outcome == Outcome.VANISHED) & (paths.last_ns > end_ns - EDGE_NS)
    outcome[at_edge] = Outcome.UNFINISHED
    outcome[(several | answered) & (end | answered)] = Outcome.DELIVERED
    return outcome
