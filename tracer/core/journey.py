"""A journey as a value: one packet's ordered hops, and how it ended."""

from dataclasses import dataclass, field

from tracer.core.hop import Hop
from tracer.core.point import Point


@dataclass(frozen=True, slots=True)
class Journey:
    """One packet's hops in order.

    Journeys and flows are numbered from 1 (`journey` is the index in the set plus one; so are
    `flow`, `reply`, `request`, `retransmission_of` and `quotes`, None where there is none).
    """

    journey: int
    flow: int | None
    proto: str | None
    kind: str
    first_ns: int | None
    last_ns: int | None
    outcome: str
    outcome_point: Point | None = None
    reason: str | None = None
    reply: int | None = None
    request: int | None = None
    retransmission_of: int | None = None
    quotes: int | None = None
    ambiguous: bool = False
    duplicates: int = 0
    hops: tuple[Hop, ...] = field(default=())
