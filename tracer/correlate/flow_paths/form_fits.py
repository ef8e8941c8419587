"""Whether two forms are one flow before and after a translation, and on what that rests.

Without a conntrack entry a rewritten id has one witness: the sequence. A ping's numbers lie on one
line before and after NAT, and an unrelated ping lies within TOLERANCE of it only when it was
started within that part of a period of the same moment.
"""

from collections.abc import Sequence
from itertools import product

from tracer.core.journeys import FlowPathJoin
from tracer.correlate.conntrack.entry_times import Lifetime
from tracer.correlate.flow_paths.forms import Form, JoinedForms
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
APART_NS = 10_000_000_000  # clocks of a log and of a capture taken by hand
UNDATED_NS = 366 * 86_400 * 1_000_000_000  # stamps in 1970 are times of day without a date
CHANCE = 0.02  # accept a fit when an unrelated sequence lies as near less often than this

#: Tuples before and after a translation, and when entries said so.
Proven = dict[tuple[FlowKey, FlowKey], list[Lifetime]]


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


def fit(
    flows: Sequence[JoinedForms],
    places: tuple[int, int],
    near: dict[int, list[int]],
    ttls: dict[Sighting, Passage],
    offsets: dict[str, float],
    proven: Proven,
) -> FlowPathJoin | None:
    """Return why the flows at two `places` are one, None where nothing says so.

    `near`: for each flow, those that it may be one with; `offsets`: ns to add to a clock's stamps.
    """
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
