"""TCP packets of which a part was lost, or went on in a packet of another journey, in words."""

import numpy as np

from tracer.core.enums import LOST, Outcome
from tracer.core.schema import StructuredArray
from tracer.correlate.joining.journeys import Assembly

CARRIED = "its bytes went on together with those of another packet (GRO)"


def partly(found: Assembly, journeys: StructuredArray) -> list[tuple[int, str]]:
    """Return journeys (indices) and what is to be said of each: how many bytes were lost, or so."""
    outcome = journeys["outcome"]
    carried = np.flatnonzero(found.within >= 0).tolist()
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
