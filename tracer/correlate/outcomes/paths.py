"""The journeys of a batch as the hops they are made of, which outcomes are told from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.hashing import Codes


@dataclass(slots=True)
class Paths:
    """Journeys: `hops` (rows) and where each journey `starts` in them; kind, reply, flow of each.

    `parent`: the place (from 1) in its journey of the hop each came from, 0 for the first.
    `quoted`: whether an ICMP error quotes the packet. `end`: the index of the hop that says how the
    journey ended. `alike`: whether packets alike begin further on that may be the same one.
    `in_part`: whether some of its bytes went on from where it ended.
    """

    hops: Codes
    starts: Codes
    parent: Codes
    kind: NDArray[np.int8]
    reply: Codes
    flow: Codes
    quoted: NDArray[np.bool_]
    end: Codes
    alike: NDArray[np.bool_]
    in_part: NDArray[np.bool_]

    @property
    def first(self) -> Codes:
        """First row of each journey."""
        return self.hops[self.starts[:-1]]

    @property
    def last(self) -> Codes:
        """Row of each journey that says how it ended, mostly the last."""
        return self.hops[self.end]

    def owner(self, at: Codes) -> Codes:
        """Return the journey of each of some indices into `hops`."""
        found: Codes = np.searchsorted(self.starts, at, "right") - 1
        return found


def hops_of(paths: Paths, journeys: Codes) -> tuple[Codes, Codes]:
    """Return all hops of some journeys: an index into `journeys`, and one into the paths' hops."""
    sizes = np.diff(paths.starts)[journeys]
    owner = np.repeat(np.arange(len(journeys)), sizes)
    at = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return owner, at + paths.starts[journeys[owner]]
