"""TCP packets of which a part was lost, or went on in a packet of another journey, in words."""

import numpy as np

from tracer.core.enums import LOST, Outcome
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, pair_keys
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.packets.identity import Identity

CARRIED = "its bytes went on together with those of another packet (GRO)"


def _carried(found: Assembly) -> Codes:
    # Journeys of which all went on in packets of others.
    carried: Codes = np.flatnonzero((found.within >= 0) & (found.lost_bytes == 0))
    return carried


def settle_carried(
    found: Assembly, identity: Identity, paths: Paths, journeys: StructuredArray
) -> None:
    """Let what went on in a packet of another journey end as that did, in place.

    Of that one a part may be lost, which is another one: then it has arrived where the rest of that
    one did, if others of its flow arrive there.
    """
    carried = _carried(found)
    if not len(carried):
        return
    carrier, outcome = found.within[carried], journeys["outcome"]
    while (further := np.flatnonzero(found.within[carrier] >= 0)).size:
        carrier[further] = found.within[carrier[further]]
    outcome[carried] = outcome[carrier]
    in_part = np.flatnonzero(found.lost_bytes[carrier] > 0)
    end = paths.hops[paths.starts[carrier[in_part] + 1] - 1]
    there = pair_keys(paths.flow[carrier[in_part]] + 1, identity.place[end])
    whole = np.flatnonzero(outcome == Outcome.DELIVERED)
    ends = pair_keys(paths.flow[whole] + 1, identity.place[paths.last[whole]])
    outcome[carried[in_part[np.isin(there, ends)]]] = Outcome.DELIVERED


def partly(found: Assembly, journeys: StructuredArray) -> list[tuple[int, str]]:
    """Return journeys (indices) and what is to be said of each: how many bytes were lost, or so."""
    outcome = journeys["outcome"]
    carried = _carried(found).tolist()
    lost = np.flatnonzero(
        (found.lost_bytes > 0)
        & (np.isin(outcome, LOST) | (outcome == Outcome.LOST_BY_TRACER))[: len(found.lost_bytes)]
    )
    return [
        *((journey, CARRIED) for journey in carried),
        *(
            (journey, f"{count} of its bytes; the rest went on")
            for journey, count in zip(lost.tolist(), found.lost_bytes[lost].tolist(), strict=True)
        ),
    ]
