"""Numbers that options take, and what is said of others."""

import click
import pytest

from tracer.cli.numbers import Decimal, Whole


def test_numbers_of_a_range_are_taken() -> None:
    assert Whole(0, 65535).convert("65535", None, None) == 65535
    assert Whole(1).convert("1", None, None) == 1
    assert Decimal(0.01).convert("2.5", None, None) == 2.5


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Whole(0, 65535), "abc", "'abc' is not a whole number from 0 to 65535."),
        (Whole(0, 65535), "65536", "'65536' is not a whole number from 0 to 65535."),
        (Whole(1), "0", "'0' is not a whole number of 1 or more."),
        (Whole(1), "1.5", "'1.5' is not a whole number of 1 or more."),
        (Decimal(0, min_open=True), "0", "'0' is not a number above 0."),
        (Decimal(0.01), "nan", "'nan' is not a number of 0.01 or more."),
        (Decimal(0, min_open=True), "inf", "'inf' is not a number above 0."),
        (Decimal(0.01), "soon", "'soon' is not a number of 0.01 or more."),
    ],
)
def test_others_are_bad_usage(kind: click.ParamType, text: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(text, None, None)
    assert caught.value.message == said
