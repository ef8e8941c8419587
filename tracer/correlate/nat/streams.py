"""Streams: a directional tuple on one link, and which class of the flow's direction it is of.

A stream is a directional tuple on one link (point, MACs, VLAN, VNI), so that equal tuples of two
tenants are two streams. What is a class at several points is decided in `classes`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.mixing import GOLDEN, mixed
from tracer.correlate.hashing import Codes, Keys, factorise
from tracer.correlate.nat.tuples import unordered
from tracer.correlate.packets.identity import Identity, reverse_of

Groups = tuple[Codes, Codes]
PLACES = 64


@dataclass(slots=True)
class Streams:
    """`stream` and `flow_class` of each row (-1 unusable), `first` row and `count` of each stream.

    `proven` holds sorted keys of tuple-hash pairs that conntrack says are one flow. `named` is the
    tuple hash of each row, of its `era` (no element: none) where the tuple was used again.
    `mirrored`: as `Identity` has it.
    """

    stream: Codes
    flow_class: Codes
    first: Codes
    count: Codes
    proven: Keys
    named: Keys
    era: Codes
    mirrored: NDArray[np.bool_]
    _answers: Keys | None = None

    def answers(self, batch: ObservationBatch) -> Keys:
        """Return the `named` hash that answers to the packets of each stream have."""
        if self._answers is None:
            era = self.era[self.first] if len(self.era) else self.era
            self._answers = named(reverse_of(batch, self.first, self.mirrored), era)
        return self._answers


def streams_of(packets: Any, identity: Identity, era: Codes) -> Streams:
    """Return the streams of all rows, each a class of its own as yet; `era`: `Proofs.eras`."""
    tuples = named(identity.flow, era)
    key = tuples ^ (identity.link * GOLDEN)
    stream, first = factorise(key)
    count = np.bincount(stream, minlength=len(first)).astype(np.int64)
    proven = np.empty(0, np.uint64)
    return Streams(stream, stream.copy(), first, count, proven, tuples, era, identity.mirrored)


def named(flow: Keys, era: Codes) -> Keys:
    """Return tuple hashes that tell a tuple's eras apart; those of era 0 stay what they are."""
    return np.where(era > 0, mixed(flow, era), flow) if len(era) else flow


def is_proven(a: Keys, b: Keys, proven: Keys) -> NDArray[np.bool_]:
    """Return which pairs of tuple hashes conntrack says are one flow."""
    return np.isin(unordered(a, b), proven)


def places_of(identity: Identity, streams: Streams, of_stream: Codes, classes: int) -> Keys:
    """Return of each class the points at which it was seen, and its TTL there, a bit each (uint64).

    `of_stream`: the class of each stream, -1 for none; there are so many `classes`. A packet passes
    a point once with one TTL: classes that share a bit are two flows. No bits where there are more
    such places than bits, and none of points that are several devices.
    """
    here = of_stream >= 0
    if len(identity.several):
        here &= ~identity.several[streams.first]
    first = streams.first[here]
    code, named = factorise(mixed(identity.point[first].astype(np.uint64), identity.ttl[first]))
    found = np.zeros(classes, np.uint64)
    if len(named) <= PLACES:
        np.bitwise_or.at(found, of_stream[here], np.uint64(1) << code.astype(np.uint64))
    return found
