"""Outcomes where the kernel itself was watched: what it decided, and that nothing more came."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Outcome
from tracer.core.point import Direction
from tracer.correlate.exchange import ANSWERABLE
from tracer.correlate.hashing import Codes
from tracer.correlate.outcome import Paths

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Watch:
    """Until when was watched (UTC ns; None: until the last packet), and what silence is enough."""

    end_ns: int | None
    settle_ns: int


def kept_here(batch: ObservationBatch) -> Mask:
    """Return at which observations the kernel decided to keep the packet itself, shape (rows,).

    The route of a local address leads to the device that the packet came by, without a gateway
    (`ip_route_input_slow`, RTN_LOCAL).
    """
    kernel = batch.sections["kernel"]
    here = (kernel["route_error"] == 0) & (kernel["route_oif"] == kernel["ifindex"])
    here &= (kernel["ifindex"] > 0) & (kernel["route_gateway_lo"] == np.uint64(NULL_U64))
    entering = [point.direction == Direction.INGRESS for point in batch.points]
    here &= np.array([*entering, False])[batch.packets["point"][kernel["row"]]]
    found = np.zeros(len(batch), np.bool_)
    found[kernel["row"][here]] = True
    return found


def settle_outcomes(
    batch: ObservationBatch, paths: Paths, time: Codes, watch: Watch, outcome: NDArray[np.int8]
) -> None:
    """Correct `outcome` in place for the journeys that end where a kernel was watched.

    Watching does not stop with a packet: one that is neither answered nor kept has vanished once
    it was silent long enough, whatever others did.
    """
    kernel = batch.sections["kernel"]
    if not len(kernel):
        return
    watched = np.zeros(len(batch), np.bool_)
    watched[kernel["row"][kernel["skb"] != 0]] = True
    last = paths.last
    here = watched[last]
    kept = here & kept_here(batch)[last]
    open_end = np.isin(outcome, (Outcome.UNFINISHED, Outcome.LOST_BY_TRACER, Outcome.VANISHED))
    outcome[here & open_end] = Outcome.UNFINISHED
    outcome[kept & (open_end | (outcome == Outcome.ANSWERED_ELSEWHERE))] = Outcome.DELIVERED
    if watch.end_ns is None:
        return
    over = here & open_end & ~kept & (time[last] + watch.settle_ns <= watch.end_ns)
    outcome[over & (_wants_answer(paths) | (np.diff(paths.starts) > 1))] = Outcome.VANISHED


def _wants_answer(paths: Paths) -> Any:
    return np.isin(paths.kind, ANSWERABLE) & (paths.reply < 0)
