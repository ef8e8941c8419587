"""How each journey ended, where and why: the steps that settle it, one after the other."""

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Outcome
from tracer.core.schema import StructuredArray
from tracer.correlate.flows.refusals import note_refusals
from tracer.correlate.hashing import Codes
from tracer.correlate.joining.packets import Packets
from tracer.correlate.order.ways import Ways, links_of
from tracer.correlate.outcomes import outcome
from tracer.correlate.outcomes.answered import answered_at
from tracer.correlate.outcomes.asymmetry import other_ways
from tracer.correlate.outcomes.missed import settle_missed
from tracer.correlate.outcomes.own_addresses import addressed_here
from tracer.correlate.outcomes.partly import partly, settle_carried
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.outcomes.reasons import give_reasons
from tracer.correlate.outcomes.watched import Watch, kernel_drops, settle_kept, settle_outcomes


def endings(
    packets: Packets,
    paths: Paths,
    ways: Ways,
    watch: Watch,
    forward: NDArray[np.bool_],
    journeys: StructuredArray,
    further: Codes,
    alike: tuple[Codes, Codes],
) -> tuple[tuple[str, ...], StructuredArray]:
    """Set `outcome`, its place and `reason` of journeys in place; return the texts of reasons.

    And UNSEEN_DTYPE records of what gaps of captures hid. `forward`: the direction of each journey
    in its flow; `further` and `alike` as `give_reasons` takes them. Where a rule refused a packet
    with a reset, that becomes its `reply`.
    """
    batch, identity, time = packets.batch, packets.identity, packets.clocks.time_ns
    point, kept = batch.packets["point"], ways.known.kept
    answered = answered_at(batch.packets, identity, paths, packets.found.copy_of)
    journeys["outcome"], onward, edge = outcome.outcomes(
        batch.packets, identity, links_of(identity, packets.links), paths, time, ways
    )
    settle_carried(packets.found, identity, paths, journeys)
    # What was kept was not missed. `settle_outcomes` opens more of them again, and asks again.
    settle_kept(batch, identity, paths, kept, journeys)
    _settle_arrived(packets, paths, journeys, edge)
    missed = settle_missed(batch, identity, paths, onward, forward, time, journeys, edge)
    settle_outcomes(batch, identity, paths, time, watch, kept, journeys)
    dropped = kernel_drops(batch, packets.found.journey, journeys)
    note_refusals(batch, identity, journeys, packets.first, dropped, time)
    flooded = np.flatnonzero((answered >= 0) & (journeys["outcome"] == Outcome.DELIVERED))
    journeys["outcome_point"][flooded] = point[paths.hops[answered[flooded]]]
    came_back = other_ways(batch, identity, paths, journeys)
    said = [*came_back, *partly(packets.found, journeys)]
    reasons = give_reasons(
        batch, journeys, packets.first, dropped, missed, edge, said, further, alike
    )
    return reasons, missed.unseen


def _settle_arrived(packets: Packets, paths: Paths, journeys: StructuredArray, edge: Codes) -> None:
    # Those that others went past, for they themselves were to end there; in place.
    outcomes = journeys["outcome"]
    open_ = np.isin(outcomes, (Outcome.VANISHED, Outcome.LOST_BY_TRACER))
    open_[edge] = True
    which = np.flatnonzero(open_ & (journeys["n_hops"] > 1))
    arrived = addressed_here(
        packets.batch, packets.identity, packets.streams, packets.links.link, paths, which
    )
    outcomes[which[arrived]] = Outcome.DELIVERED
