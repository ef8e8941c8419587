"""Flow paths as text: what captures that share no packet say together, and what is inferred."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Cause
from tracer.core.hop import Change, Hop, Join
from tracer.core.journeys import FlowPath, FlowPathHop, known_time
from tracer.core.observation import Observation
from tracer.core.point import Point
from tracer.core.protocols import protocol_name
from tracer.report.hop_text import DOUBT, hop_tokens
from tracer.report.layout import Layout, lines_of
from tracer.report.line import Line
from tracer.report.words import clock_time

_ENDS = ("src", "dst", "sport", "dport", "icmp_id")
_COMPARED = ("ttl", *_ENDS, "src_mac", "dst_mac", "vlan")
_WORDS = {"request": "requests", "reply": "replies"}


def path_rows(path: FlowPath) -> NDArray[np.int64]:
    """Return the observation rows a path holds, shape (packets,)."""
    return np.array([row for hop in path.hops for row in hop.rows], np.int64)


def flow_path_text(
    paths: Sequence[FlowPath], points: Sequence[Point], width: int
) -> Iterator[Line]:
    """Yield the lines of the paths; a heading says that no hop shows the same packet as another."""
    layout = Layout.of(points, width)
    if paths:
        yield Line("Flow paths, inferred: no two of these captures share a packet.", DOUBT)
    for path in paths:
        yield from _title(path, layout)
        for direction, word in _WORDS.items():
            hops = [hop for hop in path.hops if hop.direction == direction]
            if hops:
                yield Line(f"  {word}", "bold")
                yield from _hops(hops, points, layout)
        for sentence in path.inferences:
            yield from _sentence("inferred: ", sentence, layout)
        for sentence in path.ambiguities:
            yield from _sentence("ambiguous: ", sentence, layout)
        yield Line()


def _title(path: FlowPath, layout: Layout) -> list[Line]:
    prefix = Line(f"{(protocol_name(path.proto) or 'flow').upper()} ", "bold")
    prefix.append(path.flow.replace(" → ", "  ⇒  ").replace(" > ", " → "), "bold")
    tokens = [Line(f"one packet every {path.period_ns / 1e9:.3f} s")] if path.period_ns else []
    return lines_of(prefix, tokens, layout.width, 2)


def _hops(hops: Sequence[FlowPathHop], points: Sequence[Point], layout: Layout) -> Iterator[Line]:
    before = None
    for number, seen in enumerate(hops, 1):
        hop = _as_hop(number, seen, before)
        time = clock_time(hop.time_ns)
        line = layout.start(number, time, points[seen.point], None)
        ttl, *rest = hop_tokens(hop) or [Line()]
        tokens = [ttl, *([] if before else [Line(_ends(seen))]), *rest, _packets(seen)]
        yield from lines_of(line, tokens, layout.width, layout.place_start + 2)
        before = seen


def _as_hop(number: int, seen: FlowPathHop, before: FlowPathHop | None) -> Hop:
    observation = Observation(**{name: getattr(seen, name) for name in _COMPARED})
    return Hop(
        n=number,
        observation=observation,
        time_ns=known_time(seen.first_ns),
        parent=number - 1,
        changes=() if before is None else tuple(_changes(before, seen)),
        join=None if seen.join is None else Join(seen.join, None),
    )


def _changes(before: FlowPathHop, seen: FlowPathHop) -> Iterator[Change]:
    for name in _COMPARED:
        old, new = getattr(before, name), getattr(seen, name)
        # Unknown on one side is no change; an untagged frame is known by its MACs.
        is_tag = name == "vlan" and before.dst_mac is not None and seen.dst_mac is not None
        if old != new and (is_tag or None not in (old, new)):
            cause = seen.cause.label if name in _ENDS and seen.cause != Cause.NONE else None
            yield Change(name, old, new, cause)


def _ends(seen: FlowPathHop) -> str:
    ends = f"{seen.src or '?'} → {seen.dst or '?'}"
    return f"{ends} id {seen.icmp_id}" if seen.icmp_id is not None else ends


def _packets(seen: FlowPathHop) -> Line:
    count = len(seen.rows)
    words = f"{count} packet{'' if count == 1 else 's'}"
    if seen.first_seq is not None and seen.last_seq is not None:
        last = f"-{seen.last_seq}" if seen.last_seq != seen.first_seq else ""
        words += f", seq {seen.first_seq}{last}"
    return Line(words, "dim")


def _sentence(label: str, sentence: str, layout: Layout) -> Iterator[Line]:
    words = [Line(word) for word in sentence.split()]
    line = Line(f"  {label}", DOUBT)
    for word in words:
        if line.cell_len + word.cell_len > layout.width:
            yield _stripped(line)
            line = Line(" " * (2 + len(label)))
        line.extend(word).append(" ")
    yield _stripped(line)


def _stripped(line: Line) -> Line:
    line.rstrip()
    return line
