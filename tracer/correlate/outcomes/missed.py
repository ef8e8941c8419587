"""Vanished, or only not captured: what captures say they missed, and what others saw arrive.

Of a packet that is not seen any further some things can be known: that the next capture lost
packets at that time, or was silent while others arrived; that it arrived, as its bytes were
acknowledged or the datagram that it is a part of was answered; that the next capture cannot show
it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind, Outcome
from tracer.core.journeys import UNSEEN_DTYPE
from tracer.core.schema import StructuredArray
from tracer.correlate.flows.retransmissions import FIN, SYN, sent_again
from tracer.correlate.hashing import Codes
from tracer.correlate.outcomes.blind import AROUND, can_show, gone_around, unseen_kinds
from tracer.correlate.outcomes.gaps import judged
from tracer.correlate.outcomes.incomplete import (
    INCOMPLETE,
    PUT_TOGETHER,
    REASSEMBLED,
    incomplete,
    pieces_of,
    put_together,
)
from tracer.correlate.outcomes.onward import Onward
from tracer.correlate.outcomes.outcome import silenced
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.packets.identity import Identity

ACKNOWLEDGED = "its bytes were acknowledged: it arrived, and the next capture missed it"
_IN_SEQUENCE = (Kind.TCP_DATA, Kind.TCP_SYN_ACK, Kind.TCP_FIN)
RESET = "a reset came from there, where others went on"


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
    batch: ObservationBatch, identity: Identity, paths: Paths, onward: Onward,
    forward: NDArray[np.bool_], time: Codes, journeys: StructuredArray, edge: Codes,
) -> Missed:  # fmt: skip
    """Correct in place the outcome of vanished journeys that were not lost by the network.

    `forward`: the direction of each journey in its flow; `time` by row; `edge`: those that end at
    the next capture's edge.
    """
    said = Missed([], [], np.empty(0, UNSEEN_DTYPE))
    outcome = journeys["outcome"]
    arrived = np.zeros(len(journeys), np.bool_)
    acknowledged, refused = _acknowledged(batch.packets, identity, paths, forward, journeys)
    outcome[refused] = Outcome.ANSWERED_ELSEWHERE
    said.add(refused, RESET)
    known = [(acknowledged, ACKNOWLEDGED)]
    pieces = pieces_of(batch, identity, time) if identity.fragmented else None
    if pieces is not None:
        answered, came_out = put_together(batch, identity, paths, pieces, journeys)
        known += [(answered, REASSEMBLED), (came_out, PUT_TOGETHER)]
    for which, text in known:
        outcome[which] = Outcome.LOST_BY_TRACER
        arrived[which] = True
        said.add(which, text)
    for which, text in unseen_kinds(
        batch.packets, identity, paths, onward, forward, arrived, journeys
    ):
        outcome[which] = Outcome.NOT_OBSERVABLE
        said.add(which, text)
    around = gone_around(identity, paths, onward, forward, time, journeys)
    outcome[around] = Outcome.NOT_OBSERVABLE
    said.add(around, AROUND)
    vanished = np.flatnonzero(outcome == Outcome.VANISHED)
    if pieces is not None:
        said.add(incomplete(batch, identity, paths, onward, pieces, journeys), INCOMPLETE)
    vanished = vanished[onward.expected[vanished] >= 0]
    beyond = np.concatenate([onward.answered, np.flatnonzero(arrived)])
    if len(vanished) and len(beyond):
        vanished, beyond = (
            which[can_show(batch.packets, identity, paths, onward, forward, which)]
            for which in (vanished, beyond)
        )
        silent = silenced(identity, paths, onward, beyond, vanished, time)
        outcome[silent] = Outcome.LOST_BY_TRACER
    if batch.gaps:
        edge = edge[outcome[edge] == Outcome.UNFINISHED]
        found = judged(batch, identity, paths, onward, time, journeys, edge)
        outcome[found.lost] = Outcome.LOST_BY_TRACER
        said.journeys += found.journeys.tolist()
        said.texts += found.texts
        said.unseen = found.unseen
    return said


def _acknowledged(
    packets: Any, identity: Identity, paths: Paths, forward: NDArray[np.bool_],
    journeys: StructuredArray,
) -> tuple[Codes, Codes]:  # fmt: skip
    # TCP bytes that were sent this once, and that the last of the peer's packets acknowledges. And
    # those that a reset from where they ended says to have: who refuses them acknowledges them. SYN
    # and FIN count as a byte; a SYN alone has an answer of its own.
    first = paths.first
    lost = (journeys["outcome"] == Outcome.VANISHED) & np.isin(journeys["kind"], _IN_SEQUENCE)
    lost = np.flatnonzero(lost & (journeys["flow"] >= 0))
    acks = np.flatnonzero((packets["tcp_flags"][first] >= 0) & (packets["tcp_ack"][first] > 0))
    if not len(lost) or not len(acks):
        return lost[:0], lost[:0]
    way = journeys["flow"].astype(np.int64) * 2 + forward
    order = acks[np.lexsort((journeys["first_ns"][acks], way[acks]))]
    at = np.searchsorted(way[order], way[lost] ^ 1, "right") - 1
    known = (at >= 0) & (way[order[np.maximum(at, 0)]] == (way[lost] ^ 1))
    lost, peer = lost[known], order[at[known]]
    flags = packets["tcp_flags"][first].astype(np.int64)
    end = (packets["tcp_seq"] + packets["payload_len"])[first]
    end = end + ((flags & SYN) > 0) + ((flags & FIN) > 0)
    later = journeys["first_ns"][peer] > journeys["last_ns"][lost]
    told = later & _is_up_to(end[lost], packets["tcp_ack"][first[peer]])
    there = identity.place[first[peer]] == identity.place[paths.last[lost]]
    reset = told & there & (journeys["kind"][peer] == Kind.TCP_RST)
    refused: Codes = lost[reset]
    arrived: Codes = lost[told & ~reset]
    if len(arrived):
        again = sent_again(packets, first, way, journeys["first_ns"], arrived)
        arrived = arrived[~again]
    return arrived[~_came_before(end, journeys, paths.in_part, arrived)], refused


def _is_up_to(end: Codes, other: Codes) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ((other - end) & 0xFFFFFFFF) < 1 << 31
    return found


def _came_before(
    end: Codes, journeys: StructuredArray, in_part: NDArray[np.bool_], which: Codes
) -> NDArray[np.bool_]:
    # Whether an earlier transmission has the bytes up to the end of each and was not lost, or only
    # some of its segments: TCP sends again what is only late, and the acknowledgement may be of
    # that.
    found = np.zeros(len(which), np.bool_)
    earlier = journeys["retransmission_of"][which]
    while (at := np.flatnonzero(earlier >= 0)).size:
        kept = (journeys["outcome"][earlier[at]] != Outcome.VANISHED) | in_part[earlier[at]]
        found[at] |= kept & _is_up_to(end[which[at]], end[earlier[at]])
        earlier[at] = journeys["retransmission_of"][earlier[at]]
    return found
