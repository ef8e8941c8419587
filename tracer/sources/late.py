"""Times of packets that the kernel did not stamp, and that were read from it some time later.

It stamps what a rule logs (NFLOG) where packets come in, up to FORWARD, but not what it logs on the
way out. That waits for more, a second at most (NFULNL_TIMEOUT_DEFAULT), until tcpdump reads all of
them and stamps each with the time of then. What a group logs stays in order: such a packet was
logged after the last stamp before it, and before it was read.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import UNTIMED
from tracer.core.schema import StructuredArray
from tracer.core.warnings import InputWarning
from tracer.sources.decode.nflog import LATE_FORWARDED

_NEAR_NS = 1_000_000


class LateTimes:
    """What is known of one capture after another; batches of a capture come in its order."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}  # of a capture, the latest stamp of the kernel
        self._unknown: Counter[int] = Counter()

    def settle(self, packets: StructuredArray, late: NDArray[np.int64]) -> None:
        """Settle the times of rows whose `late`, int64 (n,), is not 0.

        What is forwarded gets the last stamp of the kernel before it, such as that of its arrival,
        where that is less than a millisecond too early. Others have no time.
        """
        for capture in np.unique(packets["capture"][late > 0]).tolist():
            rows = np.flatnonzero(packets["capture"] == capture)
            is_late, times = late[rows] > 0, packets["time_ns"][rows]
            stamps = np.where(is_late, self._last.get(capture, -1), times)
            stamps = np.maximum.accumulate(np.maximum(stamps, self._last.get(capture, -1)))
            self._last[capture] = int(stamps[-1])
            waited = times - stamps
            is_near = (late[rows] == LATE_FORWARDED) & (stamps >= 0)
            is_near &= (waited >= 0) & (waited < _NEAR_NS)
            settled = np.where(is_near, stamps, UNTIMED)
            packets["time_ns"][rows[is_late]] = settled[is_late]
            self._unknown[capture] += int(np.count_nonzero(is_late & ~is_near))

    def warnings(self, captures: tuple[str, ...]) -> Iterator[InputWarning]:
        """Yield a warning for each of the captures in which packets were left without a time."""
        for capture, count in self._unknown.items():
            if count:
                message = (
                    "no time is known of packets that a rule logged on the way out: the kernel "
                    "stamps only what comes in, and tcpdump read them up to a second later; log "
                    "them on the way in, too, and each at once (nft: queue-threshold 1, iptables: "
                    "--nflog-threshold 1), or capture at the device"
                )
                yield InputWarning("late-stamps", message, captures[capture], None, count)
