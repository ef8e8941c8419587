"""Numbers that options take, refused in the words of whoever typed them."""

import math
from typing import Any

import click


class Whole(click.IntRange):
    """A whole number of a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; bad usage where the text is none, or one out of range."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a whole number {_span(self)}.", param, ctx)


class Decimal(click.FloatRange):
    """A number of a range, which may have decimals."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; bad usage where the text is none, or one out of range."""
        try:
            number: float = super().convert(value, param, ctx)
        except click.BadParameter:
            number = math.nan
        if not math.isfinite(number):  # of NaN, no range says that it is outside
            self.fail(f"{value!r} is not a number {_span(self)}.", param, ctx)
        return number


def _span(range_: click.IntRange | click.FloatRange) -> str:
    if range_.max is None:
        return f"above {range_.min}" if range_.min_open else f"of {range_.min} or more"
    return f"from {range_.min} to {range_.max}"
