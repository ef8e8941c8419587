"""Streams whose tuples are each other's reversed, as those of answers are, whatever their class."""

from dataclasses import dataclass

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise
from tracer.correlate.nat.streams import Streams
from tracer.correlate.packets.identity import Identity

Pairs = tuple[Codes, Codes]


@dataclass(frozen=True, slots=True)
class Opposites:
    """Pairs of streams, as indices into `rows`, the first row of each that is usable.

    `linked`: at one place, with MACs that are each other's, too; `placed`: at one place. `tuples`:
    a code of each stream's tuple, and of the one that answers it, below `count`.
    """

    rows: Codes
    linked: Pairs
    placed: Pairs
    tuples: tuple[Codes, Codes]
    count: int


def opposites_of(batch: ObservationBatch, identity: Identity, streams: Streams) -> Opposites:
    """Return the pairs of all streams, which know no classes yet."""
    usable = identity.usable[streams.first]
    rows = streams.first[usable]
    there, back = streams.named[rows], streams.answers(batch)[usable]
    place = identity.place[rows]
    here = mixed(there, place), mixed(back, place)
    src, dst = identity.src_mac[rows], identity.dst_mac[rows]
    linked = _answers(mixed(mixed(here[0], src), dst), mixed(mixed(here[1], dst), src))
    codes, where = factorise(np.concatenate([there, back]))
    tuples = codes[: len(rows)], codes[len(rows) :]
    return Opposites(rows, linked, _answers(*here), tuples, len(where))


def _answers(forward: Keys, backward: Keys) -> Pairs:
    # Pairs of streams of which the second's tuple is the first's reversed.
    codes, firsts = factorise(np.concatenate([forward, backward]))
    found = firsts[codes[len(forward) :]]
    pairs = np.flatnonzero((found < len(forward)) & (found != np.arange(len(forward))))
    return pairs, found[pairs]
