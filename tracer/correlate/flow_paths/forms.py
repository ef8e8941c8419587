"""Forms of a flow, as named on the two sides of a translation, and which belong together.

Without a conntrack entry a rewritten id has one witness: the sequence. A ping's numbers lie on one
line before and after NAT, and an unrelated ping lies within TOLERANCE of it only when it was
started within that part of a period of the same moment.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product

from tracer.core.address import encode_ip
from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.core.journeys import FlowPathJoin
from tracer.correlate.conntrack.entry_times import Lifetime, lifetimes_of
from tracer.correlate.flow_paths.periods import (
    PERIOD_SLACK,
    Sample,
    continues,
    fit_line,
    inner_residual,
    rough_period,
    samples_of,
)
from tracer.correlate.flow_paths.sightings import FlowKey, Sighting
from tracer.correlate.flow_paths.travel import Passage

TOLERANCE = 0.1  # periods
RESOLUTION = 0.5  # periods; a line that says less well where a number belongs says nothing
MAX_CANDIDATES = 200  # pings to one server that are still compared with each other
CROWDED = "too many pings to the same server to tell a rewritten one by its period"
APART_NS = 10_000_000_000  # clocks of a log and of a capture taken by hand
UNDATED_NS = 366 * 86_400 * 1_000_000_000  # stamps in 1970 are times of day without a date
CHANCE = 0.02  # accept a fit when an unrelated sequence lies as near less often than this


Proven = dict[tuple[FlowKey, FlowKey], list[Lifetime]]


@dataclass(frozen=True, eq=False)
class Form:
    """A five-tuple with the captures that show one run of it."""

    key: FlowKey
    sightings: tuple[Sighting, ...]

    @property
    def places(self) -> set[tuple[int, int]]:
        """The captures and points it was seen in."""
        return {(sighting.capture, sighting.point) for sighting in self.sightings}


@dataclass(frozen=True, eq=False)
class JoinedForms:
    """The forms of one flow, why they are one, and what it might also have been."""

    forms: tuple[Form, ...]
    joins: tuple[FlowPathJoin, ...] = ()
    ambiguities: tuple[str, ...] = field(default=())

    @property
    def sightings(self) -> list[Sighting]:
        """All captures of the flow."""
        return [sighting for form in self.forms for sighting in form.sightings]


def forms_of(sightings: Iterable[Sighting]) -> list[Form]:
    """Return the sightings by five-tuple; runs that number and time tell apart are two forms."""
    by_key: dict[FlowKey, list[list[Sighting]]] = {}
    for sighting in sightings:
        runs = by_key.setdefault(sighting.key, [])
        fitting = [run for run in runs if any(continues(sighting, other) for other in run)]
        for run in fitting:
            runs.remove(run)
        runs.append([sighting, *(other for run in fitting for other in run)])
    return [Form(key, tuple(run)) for key, runs in by_key.items() for run in runs]


def join_forms(
    flows: Sequence[JoinedForms],
    ttls: dict[Sighting, Passage],
    offsets: dict[str, float],
    conntrack: Sequence[ConntrackEntry] = (),
) -> list[JoinedForms]:
    """Return the flows with those put together that one translation makes of the same packets.

    A flow is joined when exactly one other fits, and it fits exactly one; otherwise all stay apart
    and say what they might be. `offsets` are ns to add to a clock's stamps.
    """
    proven: Proven = {}
    for life in lifetimes_of(conntrack):
        pair = _key_of(life.entry.original), _key_of(life.entry.reply.reversed())
        proven.setdefault(pair, []).append(life)
    fits: dict[int, list[tuple[int, FlowPathJoin]]] = {}
    pairs, crowded = _pairs(flows, proven)
    near: dict[int, list[int]] = {}
    for one, other in pairs:
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    for one, other in pairs:
        join = _fit(flows, (one, other), near, ttls, offsets, proven)
        if join is not None:
            fits.setdefault(one, []).append((other, join))
            fits.setdefault(other, []).append((one, join))
    _prefer_proof(fits)
    joined: list[JoinedForms] = []
    for index, flow in enumerate(flows):
        found = fits.get(index, [])
        if len(found) == 1 and len(fits[found[0][0]]) == 1:
            if index < found[0][0]:
                joined.append(_together(flow, flows[found[0][0]], found[0][1]))
        elif found:
            texts = tuple(f"several flows fit, none is taken: {join.text}" for _, join in found)
            joined.append(replace(flow, ambiguities=texts))
        else:
            joined.append(replace(flow, ambiguities=(CROWDED,) if index in crowded else ()))
    return joined


# What a translation leaves alone, the server or the client, two forms of a flow have in common.
def _pairs(flows: Sequence[JoinedForms], proven: Proven) -> tuple[list[tuple[int, int]], set[int]]:
    common: dict[Hashable, list[int]] = {}
    by_key: dict[FlowKey, list[int]] = {}
    for index, flow in enumerate(flows):
        for key in (form.key for form in flow.forms):
            by_key.setdefault(key, []).append(index)
            if key.is_icmp:
                common.setdefault((key.proto, key.server), []).append(index)
                common.setdefault((key.proto, key.client, key.client_port), []).append(index)
    groups = [sorted(set(group)) for group in common.values()]
    crowded = {index for group in groups if len(group) > MAX_CANDIDATES for index in group}
    small = [group for group in groups if len(group) <= MAX_CANDIDATES]
    pairs = {pair for group in small for pair in combinations(group, 2)}
    for one, other in proven:
        both = product(by_key.get(one, ()), by_key.get(other, ()))
        pairs |= {(min(pair), max(pair)) for pair in both if pair[0] != pair[1]}
    return sorted(pairs), crowded


# Where the kernel says which form it was, the others are no candidates.
def _prefer_proof(fits: dict[int, list[tuple[int, FlowPathJoin]]]) -> None:
    proofs = {
        index: [fit for fit in found if fit[1].evidence == "conntrack"]
        for index, found in fits.items()
    }
    for index, found in fits.items():
        fits[index] = proofs[index] or [fit for fit in found if not proofs[fit[0]]]


def _together(one: JoinedForms, other: JoinedForms, join: FlowPathJoin) -> JoinedForms:
    return JoinedForms(one.forms + other.forms, (*one.joins, *other.joins, join))


def _key_of(way: Tuple) -> FlowKey:
    is_icmp = way.proto in (1, 58)
    port = way.icmp_id if is_icmp else way.sport
    server_port = -1 if is_icmp else way.dport
    return FlowKey(
        way.proto, encode_ip(way.src), encode_ip(way.dst),
        -1 if port is None else port, -1 if server_port is None else server_port,
    )  # fmt: skip


def translation(before: FlowKey, after: FlowKey) -> str | None:
    """Return "snat" or "dnat" when one NAT can make the second of the first, else None.

    DNAT leaves the client's port and id alone; SNAT may rewrite them (`--random-fully`).
    """
    if before.proto != after.proto:
        return None
    if before.server == after.server and before.server_port == after.server_port:
        return "snat" if before.client != after.client else None
    is_same_client = (before.client, before.client_port) == (after.client, after.client_port)
    return "dnat" if is_same_client and before.server != after.server else None


def _fit(
    flows: Sequence[JoinedForms],
    places: tuple[int, int],
    near: dict[int, list[int]],
    ttls: dict[Sighting, Passage],
    offsets: dict[str, float],
    proven: Proven,
) -> FlowPathJoin | None:
    one, other = flows[places[0]], flows[places[1]]
    proof = _proof(one, other, proven, offsets) or _proof(other, one, proven, offsets)
    if proof is not None:
        return proof
    pair = _in_travel_order(one, other, ttls)
    if pair is None:
        return None
    before, after = pair
    # NAT seen twice in one capture would be a loop; two flows there are two flows.
    if any(a.places & b.places for a in before.forms for b in after.forms):
        return None
    kinds = [
        (a.key, b.key, kind)
        for a in before.forms for b in after.forms
        if (kind := translation(a.key, b.key))
    ]  # fmt: skip
    if not kinds:
        return None
    a, b, kind = kinds[0]
    if not a.is_icmp:
        return None
    others = [flows[index] for index in near[places[0] if before is one else places[1]]]
    candidates = _candidates(before, others)
    if a.client_port == b.client_port:
        return _same_id(before, after, (a, b, kind), candidates)
    return _same_line(before, after, (a, b, kind), candidates, offsets)


def _proof(
    before: JoinedForms, after: JoinedForms, proven: Proven, offsets: dict[str, float]
) -> FlowPathJoin | None:
    for a, b in product(before.forms, after.forms):
        lives = proven.get((a.key, b.key), [])
        if a.key != b.key and any(
            _saw(a, life, offsets) and _saw(b, life, offsets) for life in lives
        ):
            kind = translation(a.key, b.key) or "snat and dnat"
            text = f"{a.key.name} → {b.key.name}: {kind}, the conntrack entry says so"
            return FlowPathJoin(a.key.name, b.key.name, kind, "conntrack", 1, text)
    return None


# Whether a form was seen while an entry was there, or may have been: its time is not known.
def _saw(form: Form, life: Lifetime, offsets: dict[str, float]) -> bool:
    times = [
        sighting.time_ns + int(offsets.get(sighting.clock, 0))
        for sighting in form.sightings
        if len(sighting.time_ns) and sighting.time_ns[0] > UNDATED_NS
    ]
    since, until = life.since_ns - APART_NS, life.until_ns + APART_NS
    return not times or any(seen[0] <= until and seen[-1] >= since for seen in times)


# The form with the higher TTL of requests is the one before; unknown or equal TTLs say nothing.
def _in_travel_order(
    one: JoinedForms, other: JoinedForms, ttls: dict[Sighting, Passage]
) -> tuple[JoinedForms, JoinedForms] | None:
    first, second = _ttls(one, ttls), _ttls(other, ttls)
    if not first or not second:
        return None
    if min(first) > max(second):
        return one, other
    return (other, one) if min(second) > max(first) else None


def _ttls(flow: JoinedForms, ttls: dict[Sighting, Passage]) -> list[int]:
    found = [ttls[s].ttl for s in flow.sightings if s in ttls]
    return [ttl for ttl in found if ttl is not None]


# How many flows are, by their addresses alone, what a translation may have made of this one.
def _candidates(before: JoinedForms, others: Sequence[JoinedForms]) -> int:
    keys = {form.key for form in before.forms}
    return sum(
        any(translation(key, form.key) for key in keys for form in flow.forms) for flow in others
    )


Kind = tuple[FlowKey, FlowKey, str]


def _same_id(
    before: JoinedForms, after: JoinedForms, kind: Kind, candidates: int
) -> FlowPathJoin | None:
    pairs = [(x, y) for x in before.sightings for y in after.sightings]
    if not all(continues(x, y) for x, y in pairs):
        return None
    period = rough_period([*before.sightings, *after.sightings])
    a, b, name = kind
    text = (
        f"{a.name} → {b.name}: {name} inferred, same ICMP id, numbers and times of one run; "
        f"1 of {candidates} candidates"
    )
    return FlowPathJoin(
        a.name, b.name, name, "same-id", candidates, text,
        period_ns=None if period is None else round(period),
    )  # fmt: skip


def _same_line(
    before: JoinedForms, after: JoinedForms, kind: Kind, candidates: int, offsets: dict[str, float]
) -> FlowPathJoin | None:
    best = _best_line(before, after, offsets)
    if best is None:
        return None
    residual, period, samples = best
    reach = max(abs(sample.seq) for sample in samples)
    chance = min(1.0, candidates * 2 * TOLERANCE / max(reach, 1.0))
    if abs(residual) > TOLERANCE or chance > CHANCE:
        return None
    inner = inner_residual(samples)
    a, b, name = kind
    shown = abs(residual) if inner is None else inner
    text = (
        f"{a.name} → {b.name}: {name} inferred, one line of {period / 1e9:.6f} s a number through "
        f"{len(samples)} captures, off by {shown:.3f} of a number at most inside; "
        f"1 of {candidates} candidates, an unrelated one fits with probability {chance:.1e}"
    )
    return FlowPathJoin(
        a.name, b.name, name, "period", candidates, text,
        residual=shown, chance=chance, period_ns=round(period),
    )  # fmt: skip


# The longer line predicts the other form; stamps of clocks with unknown offset take no part.
def _best_line(
    before: JoinedForms, after: JoinedForms, offsets: dict[str, float]
) -> tuple[float, float, list[Sample]] | None:
    sightings = [s for s in (*before.sightings, *after.sightings) if s.clock in offsets]
    samples = samples_of(sightings, offsets)
    own = {id(sighting) for sighting in before.sightings}
    sides = (
        [sample for sample in samples if id(sample.sighting) in own],
        [sample for sample in samples if id(sample.sighting) not in own],
    )
    if not all(sides):
        return None
    known, tested = sorted(sides, key=_span, reverse=True)
    line = fit_line(known)
    union = fit_line(samples)
    if line is None or union is None:
        return None
    own_period = rough_period([sample.sighting for sample in tested])
    if own_period is not None and abs(own_period / line.period_ns - 1) > PERIOD_SLACK:
        return None
    residuals = [line.residual(sample.seq, sample.time_ns) for sample in tested]
    spread = max(line.spread_ns(sample.seq) for sample in tested) / line.period_ns
    if spread > RESOLUTION:
        return None
    return max(residuals, key=abs), union.period_ns, samples


def _span(samples: Sequence[Sample]) -> float:
    numbers = [sample.seq for sample in samples]
    gaps = sum(len(sample.sighting.gaps) for sample in samples)
    return max(numbers) - min(numbers) + gaps
