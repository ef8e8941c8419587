"""What is made ahead comes in order, with its error, and ends when nobody asks any more."""

import os
import threading
from collections.abc import Iterator

import pytest

from tracer.cli import ahead as module
from tracer.cli.ahead import ahead


def test_values_come_in_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter(range(100)), depth=7)) == list(range(100))
    assert list(ahead(iter(()))) == []


def test_a_value_is_made_before_it_is_asked_for_and_no_more_than_that() -> None:
    begun = [threading.Event() for _ in range(3)]

    def values() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    found = ahead(values())
    assert begun[0].wait(10)
    assert not begun[1].is_set(), "there is room for one"
    assert next(found) == 0
    assert begun[1].wait(10)
    assert not begun[2].is_set()
    assert list(found) == [1, 2]


def test_an_error_is_raised_where_it_is_met() -> None:
    def values() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    found = ahead(values())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no more"):
        next(found)


def test_what_waits_for_ever_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENDS_S", 0.01)
    never = threading.Event()

    def values() -> Iterator[int]:
        yield 0
        never.wait(60)

    found = ahead(values())
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]  # a generator
    assert not never.is_set()
    never.set()


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    found = ahead(iter(range(1000)), depth=2)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before


def test_only_who_makes_the_values_gives_way() -> None:
    def values() -> Iterator[int]:
        yield niceness()

    before = niceness()
    assert list(ahead(values())) == [before]
    assert list(ahead(values(), nice=3)) == [min(before + 3, 19)]
    assert niceness() == before


def niceness() -> int:
    """Of this thread (Linux)."""
    return os.getpriority(os.PRIO_PROCESS, 0)
