"""Which rows are one packet, as the joins find it: the journeys, before they are put together."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import GONE_DTYPE
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes


@dataclass(slots=True)
class Assembly:
    """For each row: `journey` (-1 unusable), `copy_of` (row, -1), `candidates`, `ambiguous`.

    `repeated` marks rows whose burst holds several packets of one fingerprint and class; `recut`
    those of datagrams that were cut in several ways (no element: there are no fragments); `parted`
    those of TCP packets that are several segments elsewhere (no element: there are none). `onward`:
    as how many packets alike that of a journey that ends at a row may go on, `back`: how many may
    come to where one begins (no element: there are none). `carrier`: a row of the packet that took
    the first bytes of this one along (-1; no element: there are none). `numbers`: of a packet's
    first byte in its flow, as TCP has them, of the parts of UDP super-packets made alike, else -1.

    Once hops are in order, for each journey: `ends` is the index of the hop that says how it ended,
    `within` the journey in which all that was left of it went on (-1), and `lost_bytes` how many of
    its bytes went no further than that hop, while others did (no elements: `parted` has none).
    `gone`: which bytes these are, of all hops (GONE_DTYPE).
    """

    journey: Codes
    copy_of: Codes
    candidates: NDArray[np.int32]
    ambiguous: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    journeys: int
    recut: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    parted: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    carrier: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    numbers: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    ends: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    onward: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    back: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    within: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    lost_bytes: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    gone: StructuredArray = field(default_factory=lambda: np.empty(0, GONE_DTYPE))

    def merge(self, of: Codes) -> None:
        """Give rows the journey that theirs is part of, and number journeys anew, in place.

        `of`: for each journey the one that it is part of, which is itself part of no other.
        """
        kept = of == np.arange(self.journeys)
        number = np.cumsum(kept) - 1
        used = self.journey >= 0
        self.journey[used] = number[of[self.journey[used]]]
        self.journeys = int(kept.sum())
