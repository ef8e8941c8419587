"""The filter typed in the view, against exchanges made by hand."""

import pytest
from made import floating_ip, web

from tracer.cli.view.condition import parse
from tracer.core.enums import Outcome
from tracer.core.exchanges import exchange_order
from tracer.core.journeys import JourneySet


def shown(text: str, part: JourneySet) -> list[int]:
    """Return the numbers of the first journeys of the exchanges that the text leaves."""
    exchanges = exchange_order(part)
    held = parse(text).matching(part, exchanges)
    return [
        int(members[0]) + 1 for members, is_held in zip(exchanges, held, strict=True) if is_held
    ]


@pytest.mark.parametrize(
    "text",
    ["", "192.168.3.69", "100.122.0.145", "192.168.0.0/16", "22344", "36215", "id 22344",
     "--icmp-id=36215", "icmp", "src 192.168.3.69", "host 100.121.0.75 icmp", "delivered",
     "!dropped", "not lost", "deliv 22344"],
)  # fmt: skip
def test_what_is_true_of_the_ping_shows_it_on_either_side_of_nat(text: str) -> None:
    assert shown(text, floating_ip()) == [1]


@pytest.mark.parametrize(
    "text", ["10.1.1.1", "80", "port 80", "tcp", "id 1", "dropped", "!delivered", "icmp lost"]
)
def test_what_is_not_true_of_the_ping_hides_it(text: str) -> None:
    assert shown(text, floating_ip()) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("arp", [1]), ("tcp", [3, 4]), ("vanished", [3]), ("dropped", [4]), ("lost", [3, 4]),
     ("!lost", [1]), ("port 80 drop", [4]), (":80", [3, 4]), ("dport=80,vanished", [3]),
     ("10.0.9.9 ! dropped", [3])],
)  # fmt: skip
def test_words_have_to_hold_together(text: str, numbers: list[int]) -> None:
    assert shown(text, web()) == numbers


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_a_word(outcome: Outcome) -> None:
    part = floating_ip()
    part.journeys["outcome"] = outcome
    assert shown(outcome.label, part) == [1]
    assert shown(f"!{outcome.label}", part) == []


@pytest.mark.parametrize("text", ["port", "nonsense", "port x", "src y", "99999", "id 70000", "!"])
def test_what_is_not_understood_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        parse(text)
