"""A filter as it is typed in the live view: words that all have to hold for an exchange."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import encode_network
from tracer.core.enums import Outcome
from tracer.core.filter import FlowFilter
from tracer.core.journeys import JourneySet
from tracer.core.protocols import PROTOCOLS

Numbers = NDArray[np.integer[Any]]
_LOST = frozenset({Outcome.DROPPED, Outcome.VANISHED})
_OUTCOMES = {outcome.label: frozenset({outcome}) for outcome in Outcome} | {"lost": _LOST}
_FIELDS = ("host", "src", "dst", "port", "sport", "dport", "id")
HELP = "an address, port, id, protocol or outcome"


@dataclass(frozen=True, slots=True)
class Term:
    """One word: flows of any of `flows`, or any of the outcomes; `is_negated` turns it round."""

    flows: tuple[FlowFilter, ...] = ()
    outcomes: frozenset[Outcome] = frozenset()
    is_negated: bool = False

    def holds(self, part: JourneySet, exchanges: Sequence[Numbers]) -> list[bool]:
        """Return for each exchange (its journeys' indices) whether the term holds."""
        from tracer.correlate.select import select

        met = np.isin(part.journeys["outcome"], list(self.outcomes))
        for flow in self.flows:
            met[select(part, flow)] = True
        return [bool(met[members].any()) != self.is_negated for members in exchanges]


@dataclass(frozen=True, slots=True)
class Condition:
    """Terms that all have to hold; none hold always. `text` is what was typed."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    def matching(self, part: JourneySet, exchanges: Sequence[Numbers]) -> list[bool]:
        """Return for each exchange (its journeys' indices) whether it is to be shown."""
        met = [True] * len(exchanges)
        for term in self.terms:
            held = term.holds(part, exchanges)
            met = [both and own for both, own in zip(met, held, strict=True)]
        return met


def parse(text: str) -> Condition:
    """Return the condition that a text says; raises ValueError naming the word it does not know.

    Words: an address or CIDR; a number (port or echo id); `port 53`, `id=7`, `src 10.0.0.1` and so
    on; icmp, tcp, udp, arp; an outcome or the start of one, `lost` for dropped or vanished.
    """
    words = re.sub(r"[=,]", " ", text).split()
    terms = []
    while words:
        word = words.pop(0).lower()
        negated = word.startswith("!") or word == "not"
        word = words.pop(0).lower() if word in ("!", "not") and words else word.lstrip("!")
        name = word.lstrip("-").removeprefix("icmp-")
        if name in _FIELDS:
            if not words:
                raise ValueError(f"{name} of what?")
            terms.append(Term(_of_field(name, words.pop(0)), is_negated=negated))
        else:
            terms.append(_of_word(word, is_negated=negated))
    return Condition(text.strip(), tuple(terms))


def _of_word(word: str, *, is_negated: bool) -> Term:
    if word in PROTOCOLS:
        return Term((FlowFilter(proto=PROTOCOLS[word]),), is_negated=is_negated)
    if word.lstrip(":").isdecimal():
        number = _number(word.lstrip(":"))
        port = FlowFilter(port=(number,))
        flows = (port,) if word.startswith(":") else (port, FlowFilter(icmp_id=number))
        return Term(flows, is_negated=is_negated)
    if _is_network(word):
        return Term((FlowFilter(host=(word,)),), is_negated=is_negated)
    found = [outcomes for name, outcomes in _OUTCOMES.items() if name == word]
    found = found or [outcomes for name, outcomes in _OUTCOMES.items() if name.startswith(word)]
    if not word or not found:
        raise ValueError(f"{word!r} is not {HELP}")
    return Term(outcomes=frozenset().union(*found), is_negated=is_negated)


def _of_field(name: str, value: str) -> tuple[FlowFilter, ...]:
    if name == "id":
        return (FlowFilter(icmp_id=_number(value)),)
    if name in ("port", "sport", "dport"):
        ports = (_number(value),)
        return (_flow(name, ports),)
    if not _is_network(value):
        raise ValueError(f"{value!r} is not an address or CIDR")
    return (_flow(name, (value,)),)


def _flow(name: str, values: tuple[Any, ...]) -> FlowFilter:
    fields: dict[str, Any] = {name: values}
    return FlowFilter(**fields)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{text!r} is not a number up to 65535")
    return int(text)


def _is_network(text: str) -> bool:
    try:
        encode_network(text)
    except ValueError:
        return False
    return True
