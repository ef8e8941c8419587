"""Vanished, or only not captured: what captures say they missed, and what others saw arrive.

Of a packet that is not seen any further three things can be known: that the next capture lost
packets at that time, that the peer acknowledged its bytes, or that the next capture shows nothing
of its protocol though others of that protocol went on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind, Outcome
from tracer.core.journeys import UNSEEN_DTYPE
from tracer.core.schema import StructuredArray
from tracer.correlate.gaps import judged
from tracer.correlate.hashing import Codes, factorise, pair_keys
from tracer.correlate.identity import Identity
from tracer.correlate.outcome import Onward, Paths

ENOUGH = 3  # answered packets of a protocol that a point must have shown if it could
ACKNOWLEDGED = "its bytes were acknowledged: it arrived, and the next capture missed it"
BLIND = "the next capture shows nothing of this protocol, though others of it were answered"


@dataclass(slots=True)
class Missed:
    """Journeys with what is said of them, as texts; `unseen` as `gaps.Judged` has it."""

    journeys: list[int]
    texts: list[str]
    unseen: StructuredArray

    def add(self, journeys: Codes, text: str) -> None:
        """Say the same of several journeys."""
        self.journeys += journeys.tolist()
        self.texts += [text] * len(journeys)


def settle_missed(
    batch: ObservationBatch, identity: Identity, paths: Paths, onward: Onward, link: Codes,
    forward: NDArray[np.bool_], time: Codes, journeys: StructuredArray,
) -> Missed:  # fmt: skip
    """Correct in place the outcome of vanished journeys that were not lost by the network.

    `forward`: the direction of each journey in its flow; `link` and `time` by row.
    """
    following = onward.following[link[paths.last]]
    said = Missed([], [], np.empty(0, UNSEEN_DTYPE))
    outcome = journeys["outcome"]
    arrived = _acknowledged(batch.packets, paths, forward, journeys)
    outcome[arrived] = Outcome.LOST_BY_TRACER
    said.add(arrived, ACKNOWLEDGED)
    blind = _unseen_protocol(batch.packets, identity, paths, following, journeys)
    outcome[blind] = Outcome.NOT_OBSERVABLE
    said.add(blind, BLIND)
    if batch.gaps:
        found = judged(batch, identity, paths, onward, link, time, journeys)
        outcome[found.lost] = Outcome.LOST_BY_TRACER
        said.journeys += found.journeys.tolist()
        said.texts += found.texts
        said.unseen = found.unseen
    return said


def _acknowledged(
    packets: Any, paths: Paths, forward: NDArray[np.bool_], journeys: StructuredArray
) -> Codes:
    # TCP bytes that were not sent again, and that the last of the peer's packets acknowledges.
    first = paths.first
    again = np.zeros(len(journeys), np.bool_)
    again[journeys["retransmission_of"][journeys["retransmission_of"] >= 0]] = True
    lost = (journeys["outcome"] == Outcome.VANISHED) & (journeys["kind"] == Kind.TCP_DATA) & ~again
    lost = np.flatnonzero(lost & (journeys["flow"] >= 0))
    acks = np.flatnonzero((packets["tcp_flags"][first] >= 0) & (packets["tcp_ack"][first] > 0))
    if not len(lost) or not len(acks):
        return lost[:0]
    way = journeys["flow"].astype(np.int64) * 2 + forward
    order = acks[np.lexsort((journeys["first_ns"][acks], way[acks]))]
    at = np.searchsorted(way[order], way[lost] ^ 1, "right") - 1
    known = (at >= 0) & (way[order[np.maximum(at, 0)]] == (way[lost] ^ 1))
    lost, peer = lost[known], order[at[known]]
    end = packets["tcp_seq"][first[lost]] + packets["payload_len"][first[lost]]
    beyond = (packets["tcp_ack"][first[peer]] - end) & 0xFFFFFFFF
    later = journeys["first_ns"][peer] > journeys["last_ns"][lost]
    arrived: Codes = lost[later & (beyond < 1 << 31)]
    return arrived


def _unseen_protocol(
    packets: Any, identity: Identity, paths: Paths, following: Codes, journeys: StructuredArray
) -> Codes:
    # Packets of a protocol that were answered though they passed the next place unseen, as did
    # every other packet of it: a capture filter, or a tunnel that hides it.
    lost = np.flatnonzero((journeys["outcome"] == Outcome.VANISHED) & (following >= 0))
    if not len(lost):
        return lost
    proto = packets["proto"].astype(np.int64) + 1
    shown = np.unique(pair_keys(np.maximum(identity.place, 0), proto))
    mine = proto[paths.first]
    hidden = lost[~np.isin(pair_keys(following[lost], mine[lost]), shown)]
    if not len(hidden):
        return hidden
    answered = np.flatnonzero((journeys["reply"] >= 0) & (following >= 0))
    keys, where = factorise(pair_keys(following[answered], mine[answered]))
    often = where[np.bincount(keys, minlength=len(where)) >= ENOUGH]
    known = pair_keys(following[answered[often]], mine[answered[often]])
    blind: Codes = hidden[np.isin(pair_keys(following[hidden], mine[hidden]), known)]
    return blind
