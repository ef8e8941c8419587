"""What the correlator says of captures, as frames of files, to compare with what tshark reads."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tracer.core.conntrack import ConntrackEntry
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join
from tracer.sources.read import read

Frame = tuple[str, int]  # file without its ending, frame number


def joined(inputs: Iterable[Path], conntrack: Sequence[ConntrackEntry] = ()) -> JourneySet:
    return join(read([str(path) for path in inputs]).batch, conntrack)


def hops(found: JourneySet, journey: int) -> list[Frame]:
    """The frame of each hop of a journey, in order."""
    packets = found.observations.packets[rows(found, journey)]
    captures = [Path(name).stem for name in found.observations.captures]
    return [(captures[p["capture"]], int(p["frame"])) for p in packets]


def rows(found: JourneySet, journey: int) -> np.ndarray:
    first, count = (int(found.journeys[n][journey]) for n in ("first_hop", "n_hops"))
    return found.hops["row"][first : first + count]


def by_frame(found: JourneySet) -> dict[Frame, int]:
    """The journey of each frame."""
    return {
        frame: journey for journey in range(len(found.journeys)) for frame in hops(found, journey)
    }


def partition(found: JourneySet) -> set[frozenset[Frame]]:
    """Which frames are one packet, whatever their order."""
    return {frozenset(hops(found, journey)) for journey in range(len(found.journeys))}
