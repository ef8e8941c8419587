"""Flows of which a kernel kept packets for a socket of its own: in this window and former ones."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.hashing import Keys

#: As many flows as the kernel follows by default; the one that was silent for longest is forgotten.
FLOWS = 65_536


@dataclass(slots=True)
class KeptFlows:
    """What the kernel's routes told of flows, for packets that need none.

    Of a flow that has a socket, most packets find it before they are routed, and their route with
    it (tcp_v4_early_demux, udp_v4_early_demux). `names`: hashes of flow and namespace, the
    same in every window, the latest last.
    """

    names: Keys = field(default_factory=lambda: np.empty(0, np.uint64))

    def add(self, names: Keys) -> None:
        """Know that packets of flows were kept somewhere, or seen there again."""
        names = np.unique(names)
        if len(names):
            older = self.names[~np.isin(self.names, names)]
            self.names = np.concatenate([older, names])[-FLOWS:]

    def has(self, names: Keys) -> NDArray[np.bool_]:
        """Return of which flows packets were kept where; these are not forgotten soon."""
        found = np.isin(names, self.names)
        self.add(names[found])
        return found
