"""Captures in pieces, and what journeys say that come of them."""

from collections.abc import Iterator

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet


def split(batch: ObservationBatch, rows: int) -> list[list[ObservationBatch]]:
    """Return the batch as captures, each in pieces of at most some rows."""
    captures = []
    for capture in np.unique(batch.packets["capture"]):
        mine = np.flatnonzero(batch.packets["capture"] == capture)
        captures.append([batch.take(mine[i : i + rows]) for i in range(0, len(mine), rows)])
    return captures


def members(found: JourneySet) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield each journey as its hops' captures and frames, in order."""
    packets = found.observations.packets[found.hops["row"]]
    names = np.array(found.observations.captures, object)[packets["capture"]]
    hops = list(zip(names.tolist(), packets["frame"].tolist(), strict=True))
    for journey in found.journeys:
        yield tuple(hops[journey["first_hop"] : journey["first_hop"] + journey["n_hops"]])


def records(found: JourneySet) -> dict[int, tuple[object, ...]]:
    """Each journey by its number: hops and what is said of them, outcome, references, flow."""
    names = ("reply", "request", "retransmission_of", "quotes")
    indices = np.arange(len(found.journeys))
    shown = {name: found.shown(name, indices).tolist() for name in ("journey", *names)}
    out = {}
    for place, (hops, journey) in enumerate(zip(members(found), found.journeys, strict=True)):
        mine = found.hops[journey["first_hop"] : journey["first_hop"] + journey["n_hops"]]
        said = [mine[name].tolist() for name in ("parent", "candidates", "evidence", "cause")]
        reason = found.reasons[journey["reason"]] if journey["reason"] >= 0 else None
        out[shown["journey"][place]] = (
            hops, *said, np.nan_to_num(mine["confidence"]).tolist(), int(journey["flow"]),
            int(journey["kind"]), int(journey["outcome"]), reason, int(journey["ambiguous"]),
            int(journey["duplicates"]), *(shown[name][place] for name in names),
        )  # fmt: skip
    return out
