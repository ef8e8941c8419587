"""Why a journey ended as it did, in words."""

from typing import Any

import numpy as np

from tracer.core.address import decode_ip
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind, Outcome
from tracer.core.icmp_errors import error_name
from tracer.core.routes import route_error_words
from tracer.core.schema import StructuredArray
from tracer.correlate.flows.arp import arp_answers
from tracer.correlate.flows.errors_quoted import is_redirect
from tracer.correlate.flows.questions import want_answers
from tracer.correlate.hashing import Codes
from tracer.correlate.outcomes.missed import RESET, Missed
from tracer.correlate.packets.buffers import buffers

NO_ANSWER = "no answer seen"
ROUTED_NS = 1_000_000  # what has no route is freed at once
CAPTURE_GAP = "the next capture was interrupted"
GOES_ON = "may be {} alike first seen beyond a translation"
COMES_FROM = "may be {} alike last seen before a translation"
CAPTURE_EDGE = "the next capture had not begun or was over"


class Reasons:
    """Texts by number; the numbers go into the `reason` column."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []

    def number(self, text: str) -> int:
        """Return the number of a text, a new one for a new text."""
        number = self._numbers.setdefault(text, len(self._texts))
        if number == len(self._texts):
            self._texts.append(text)
        return number

    def text(self, number: int) -> str | None:
        """Return the text of a number, None for -1."""
        return self._texts[number] if number >= 0 else None

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts, in order of their numbers."""
        return tuple(self._texts)


def icmp_error(packet: Any) -> str:
    """Return the words for an ICMP error and who sent it."""
    numbers = (int(packet[name]) for name in ("ip_version", "icmp_type", "icmp_code"))
    said = error_name(*(number if number >= 0 else None for number in numbers))
    return f"{said}, said {decode_ip(int(packet['src_hi']), int(packet['src_lo']))}"


def give_reasons(
    batch: ObservationBatch, journeys: StructuredArray, first: Codes,
    dropped: tuple[Codes, Codes], missed: Missed, edge: Codes,
    ways: list[tuple[int, str]], further: Codes, alike: tuple[Codes, Codes],
) -> tuple[str, ...]:  # fmt: skip
    """Set the `reason` column of the journeys in place and return the texts it indexes.

    `first`: first row of each journey; `dropped`: journeys and the rows where the kernel freed
    them, as `outcome.kernel_drops` gives them; `missed`: what captures missed; `edge`: journeys
    that end at the next capture's edge; `ways`: answers that came another way, in words;
    `further`: errors and journeys that they quote, too, as `errors_quoted.quotes` gives them;
    `alike`: of each journey, how many packets alike it may go on as, or come from.
    """
    reasons = Reasons()
    outcome, reason = journeys["outcome"], journeys["reason"]
    silent = want_answers(batch.packets, journeys["kind"], first) & (journeys["reply"] < 0)
    open_end = np.isin(outcome, (Outcome.VANISHED, Outcome.DELIVERED, Outcome.UNFINISHED))
    reason[silent & open_end & (journeys["n_hops"] > 1)] = reasons.number(NO_ANSWER)
    reason[outcome == Outcome.LOST_BY_TRACER] = reasons.number(CAPTURE_GAP)
    edge = edge[outcome[edge] == Outcome.UNFINISHED]
    reason[edge] = reasons.number(CAPTURE_EDGE)
    reason[(outcome == Outcome.ANSWERED_ELSEWHERE) & (journeys["reply"] >= 0)] = reasons.number(
        RESET
    )
    for journey, text in zip(missed.journeys, missed.texts, strict=True):
        reason[journey] = reasons.number(text)
    for journey, text in (*ways, *arp_answers(batch, journeys, first)):
        why = reasons.text(reason[journey])  # it did not arrive
        is_open = outcome[journey] != Outcome.DELIVERED and why not in (None, NO_ANSWER)
        reason[journey] = reasons.number(f"{why}; {text}" if is_open else text)
    errors = np.flatnonzero((journeys["quotes"] >= 0) & (journeys["kind"] == Kind.ICMP_ERROR))
    quoted = journeys["quotes"][errors].tolist()
    pairs = [*further.tolist(), *zip(errors.tolist(), quoted, strict=True)]
    for error, about in pairs[::-1]:
        if outcome[about] != Outcome.DELIVERED and is_redirect(batch.packets, first[error]):
            continue  # it was sent on: that is not why it did not arrive
        text = icmp_error(batch.packets[first[error]])
        reason[about] = reasons.number(text)
    for counts, text in zip(alike, (GOES_ON, COMES_FROM), strict=True):
        for journey in np.flatnonzero(counts).tolist():
            said = text.format(f"{counts[journey]} packets" if counts[journey] > 1 else "a packet")
            why = reasons.text(reason[journey])
            reason[journey] = reasons.number(said if why is None else f"{why}; {said}")
    _kernel_reasons(batch, reason, dropped, reasons)
    return reasons.texts


def _kernel_reasons(
    batch: ObservationBatch, reason: Codes, dropped: tuple[Codes, Codes], reasons: Reasons
) -> None:
    names = batch.labels.get("drop_reason", {})
    kernel = batch.sections["kernel"]
    freed = kernel[np.searchsorted(kernel["row"], dropped[1])]
    routed = _failed_routes(batch, freed)
    for journey, code, error in zip(
        dropped[0].tolist(), freed["drop_reason"].tolist(), routed, strict=True
    ):
        said = names.get(code) or f"skb drop reason {code}"
        before = reasons.text(reason[journey])
        if before not in (None, NO_ANSWER):  # an ICMP error
            said = f"{said}; {before}"
        elif error:
            said = f"{said}; route: {route_error_words(error)}"
        reason[journey] = reasons.number(said)


def _failed_routes(batch: ObservationBatch, freed: StructuredArray) -> list[int]:
    # The negative errno of the last lookup for each freed buffer, 0 where it did not fail: kernels
    # free what has no route without saying why.
    kernel = batch.sections["kernel"]
    failed = kernel[kernel["route_error"] < -1]  # which is null
    both = np.concatenate([failed, freed])
    is_freed = np.arange(len(both)) >= len(failed)
    times = batch.packets["time_ns"][both["row"]]
    buffer = buffers(both)
    order = np.lexsort((is_freed, times, buffer))
    # The last lookup before each, of whatever buffer.
    before = np.maximum.accumulate(np.where(is_freed[order], -1, np.arange(len(order))))
    lookup, asked = order[before], order
    near = (before >= 0) & (buffer[lookup] == buffer[asked])
    near &= times[asked] - times[lookup] <= ROUTED_NS
    errors = np.zeros(len(both), np.int64)
    errors[asked] = np.where(near, both["route_error"][lookup], 0)
    return list(errors[len(failed) :].tolist())
