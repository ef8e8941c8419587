"""What would do something to a terminal is shown, not done."""

import pytest

from tracer.core.printable import printable


@pytest.mark.parametrize("text", ["", "eth0", "zürich-λ😀 → 5 µs", "a b", "bad\\xff"])
def test_what_is_printable_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("evil\x1b[31m", r"evil\x1b[31m"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("pcap\u202egnp", r"pcap\u202egnp"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_is_not_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
