"""What former windows leave to the next one, and what a window says of itself."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import JourneySet
from tracer.correlate.clocks.known import KnownClocks
from tracer.correlate.flows.known import KnownFlows, SeenFlows
from tracer.correlate.hashing import Keys
from tracer.correlate.order.ways import KnownWays


@dataclass(slots=True)
class Known:
    """Flows, ways and clocks that were seen in former windows."""

    ways: KnownWays
    clocks: KnownClocks
    flows: KnownFlows = field(default_factory=KnownFlows)


class Joined(NamedTuple):
    """A window's journeys, whether each goes its flow's original way, and flows known before.

    `ends`: the name of the link that each journey was last seen on (`order.ways`).
    """

    found: JourneySet
    forward: NDArray[np.bool_]
    seen: SeenFlows
    ends: Keys
