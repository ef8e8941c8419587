"""The result of correlation, as columns: hops, journeys, flows, clocks.

A `JourneySet` refers to rows of the batch it was made from; dataclasses (`core.journey`) are
built from it only for what is shown.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Cause
from tracer.core.nat_rules.rule import NatRule
from tracer.core.schema import StructuredArray
from tracer.core.warnings import InputWarning

UNTIMED = -1  # null of a packet's time: its capture gave it none
NO_TIME = np.iinfo(
    np.int64
).min  # null of delta_ns, which may be any sign before clocks are aligned

HOP_DTYPE = np.dtype(
    [
        ("journey", "<i4"),  # index into journeys
        ("n", "<i4"),  # 1-based place in the journey
        ("row", "<i8"),  # row of the observation batch
        ("time_ns", "<i8"),  # stamp after the clock's offset was applied, UNTIMED for none
        (
            "delta_ns",
            "<i8",
        ),  # from the parent hop; NO_TIME for the first, or where clocks cannot say
        ("parent", "<i4"),  # n of the hop it came from; n-1 on a line, smaller at a branch, 0 first
        ("candidates", "<i4"),  # packets that could have been this hop, 1 is certain; -1 first hop
        ("confidence", "<f4"),  # calibrated probability that the join is right; nan unknown
        ("evidence", "i1"),  # core.enums.Evidence
        ("cause", "i1"),  # core.enums.Cause
        ("direction", "i1"),  # core.point.Direction, of the point or inferred from MACs and order
    ],
    align=True,  # read by whole words (`core.spread`)
)  # sorted by (journey, n); every row of the batch that is IP or ARP is in exactly one hop

JOURNEY_DTYPE = np.dtype(
    [
        ("flow", "<i4"),  # index into flows, -1 for none
        ("first_hop", "<i8"),  # index into hops; its hops are hops[first_hop : first_hop + n_hops]
        ("n_hops", "<i4"),
        ("kind", "i1"),  # core.enums.Kind
        ("proto", "<i2"),
        ("first_ns", "<i8"),  # of its first and last hop, UNTIMED where these have no stamp
        ("last_ns", "<i8"),
        ("outcome", "i1"),  # core.enums.Outcome
        ("outcome_point", "<i4"),  # index into the batch's points, -1 for none
        ("reason", "<i4"),  # index into reasons, -1 for none
        ("reply", "<i4"),  # journey that answers this one, -1 for none
        ("request", "<i4"),  # journey this one answers, -1 for none
        (
            "retransmission_of",
            "<i4",
        ),  # earlier journey with the same bytes, or some of them, -1 for none
        ("quotes", "<i4"),  # journey whose packet this ICMP error quotes, -1 for none
        ("ambiguous", "i1"),  # 1 when nothing told several candidates apart
        (
            "duplicates",
            "<i4",
        ),  # further copies at one point (SPAN, a second tcpdump); each is a hop, too
    ]
)

FLOW_DTYPE = np.dtype(
    [
        ("proto", "<i2"),
        ("ip_version", "i1"),
        ("src_hi", "<u8"), ("src_lo", "<u8"), ("dst_hi", "<u8"), ("dst_lo", "<u8"),
        ("sport", "<i4"), ("dport", "<i4"), ("icmp_id", "<i4"),
        # as seen after the last translation in the original direction; equal where there is none
        ("nat_src_hi", "<u8"), ("nat_src_lo", "<u8"), ("nat_dst_hi", "<u8"), ("nat_dst_lo", "<u8"),
        ("nat_sport", "<i4"), ("nat_dport", "<i4"), ("nat_icmp_id", "<i4"),
        ("journeys", "<i4"),
    ]
)  # fmt: skip

# The numbers shown for a journey and for those it refers to, -1 for none.
NUMBERS_DTYPE = np.dtype(
    [(name, "<i8") for name in ("journey", "reply", "request", "retransmission_of", "quotes")]
)


# What happened to journeys between two points of the batch (-1: not known), `core.enums.Event`.
EVENT_DTYPE = np.dtype(
    [("journey", "<i4"), ("from_point", "<i4"), ("to_point", "<i4"), ("event", "i1")]
)

# Bytes of a packet that is several segments elsewhere, which nobody shows beyond its nth hop, while
# others went on: where they begin in it, and how many segments they were.
GONE_DTYPE = np.dtype(
    [("journey", "<i4"), ("n", "<i4"), ("begin", "<i4"), ("bytes", "<i4"), ("segments", "<i4")]
)

# Packets that passed the capture at a point unseen while it says it lost some.
UNSEEN_DTYPE = np.dtype([("journey", "<i4"), ("gap", "<i4")])  # indices: journeys, merged gaps


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """What was found out about one clock against the reference clock.

    `offset_ns` is what was added to its stamps; `uncertainty_ns` how far from it the minimum delays
    both ways allow it to be, at any of its stamps, None where nothing bounds it; `drift_ppm` is
    relative to the reference.
    """

    clock: str
    offset_ns: int
    uncertainty_ns: int | None
    drift_ppm: float = 0.0
    samples: int = 0
    evidence: str = "stamps"
    host: str | None = None


@dataclass(frozen=True, slots=True)
class FlowPathHop:
    """One point of a flow path: what one direction of the flow looked like in one capture."""

    point: int
    capture: int
    rows: tuple[int, ...]
    direction: str  # "request" or "reply"
    first_ns: int  # as its clock stamped it, no offset added; -1 unknown
    join: str | None  # to the hop before: "conntrack", "five-tuple", "inferred"; None first
    reason: str | None = None  # the rule and numbers behind `join`
    last_ns: int = -1
    cause: Cause = Cause.NONE  # why it differs from the hop before
    ttl: int | None = None
    src: str | None = None
    dst: str | None = None
    sport: int | None = None
    dport: int | None = None
    icmp_id: int | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    src_mac: str | None = None
    dst_mac: str | None = None
    vlan: int | None = None
    placed: tuple[int, ...] = ()  # those of `rows` without addresses, placed by id and sequence


@dataclass(frozen=True, slots=True)
class FlowPathJoin:
    """What puts two forms of a flow, before and after a translation, together.

    `residual` is how far one form's sequence lies from the line through the other's, in periods;
    `candidates` how many forms could have been it by address, `chance` the probability that an
    unrelated one lies as near. None where the evidence is not a fit.
    """

    before: str
    after: str
    translation: str  # "snat", "dnat" or "snat and dnat"
    evidence: str  # "conntrack", "same-id", "period"
    candidates: int
    text: str
    residual: float | None = None
    chance: float | None = None
    period_ns: int | None = None


@dataclass(frozen=True, slots=True)
class FlowPath:
    """Hops of one flow put together from captures that share no packet.

    `hops` has the requests in travel order, then the replies in theirs. `inferences` says in
    sentences what is inferred rather than seen, `ambiguities` what could not be told apart;
    `period_ns` is the time between two sequence numbers, None where nothing regular was found.
    """

    flow: str
    proto: int
    hops: tuple[FlowPathHop, ...]
    inferences: tuple[str, ...] = ()
    period_ns: int | None = None
    joins: tuple[FlowPathJoin, ...] = ()
    ambiguities: tuple[str, ...] = ()


def known_time(time_ns: Any) -> int | None:
    """Return a time of a record, None for UNTIMED."""
    return None if time_ns == UNTIMED else int(time_ns)


def untimed(journeys: StructuredArray) -> NDArray[np.bool_]:
    """Return which journeys begin or end at a time that is not known."""
    found: NDArray[np.bool_] = (journeys["first_ns"] == UNTIMED) | (journeys["last_ns"] == UNTIMED)
    return found


def confidences(stored: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return confidences of hops as shown, with six decimals: all that 4 bytes hold."""
    shown: NDArray[np.float64] = stored.astype(np.float64)
    return shown.round(6)


def _empty(dtype: np.dtype[np.void]) -> StructuredArray:
    return np.empty(0, dtype)


@dataclass(slots=True)
class JourneySet:
    """Journeys over one observation batch, with everything a report needs.

    `numbers` (NUMBERS_DTYPE, a record a journey) is there where journeys are a part of all there
    are and refer to others; else the first one is shown as `first_journey`, and so on.
    """

    observations: ObservationBatch
    hops: StructuredArray = field(default_factory=lambda: _empty(HOP_DTYPE))
    journeys: StructuredArray = field(default_factory=lambda: _empty(JOURNEY_DTYPE))
    flows: StructuredArray = field(default_factory=lambda: _empty(FLOW_DTYPE))
    clocks: tuple[ClockEstimate, ...] = ()
    flow_paths: tuple[FlowPath, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[InputWarning, ...] = ()
    lost: dict[str, int] = field(default_factory=dict)
    first_journey: int = 1  # number shown for the first one; a stream goes on counting
    nat_rules: tuple[NatRule, ...] = ()  # as recorded, in the order the kernel asks them
    numbers: StructuredArray | None = None
    unseen: StructuredArray = field(default_factory=lambda: _empty(UNSEEN_DTYPE))
    events: StructuredArray | None = None  # EVENT_DTYPE; None: `core.segments` finds them
    gone: StructuredArray = field(default_factory=lambda: _empty(GONE_DTYPE))

    def shown(self, name: str, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return the numbers shown for the journeys at the indices, (n,), or for what they name.

        `name` is `journey`, or a reference: `reply`, `request`, `retransmission_of`, `quotes`, of
        which -1 means none.
        """
        if self.numbers is not None:
            numbers: NDArray[np.int64] = self.numbers[name][indices]
            return numbers
        if name == "journey":
            return np.asarray(indices, np.int64) + self.first_journey
        named = self.journeys[name][indices].astype(np.int64)
        return np.where(named >= 0, named + self.first_journey, -1)
