"""Numbers as a person reads them."""

import math
from datetime import UTC, datetime

_UNDATED_NS = 2 * 86_400 * 1_000_000_000


def duration(nanoseconds: float | None) -> str:
    """Return `46 µs`, `3.51 ms`, `1.20 s`, `6 h 44 min`; `–` where it is not known."""
    if nanoseconds is None or math.isnan(nanoseconds):
        return "–"
    sign, value = ("−" if nanoseconds < 0 else ""), abs(nanoseconds)
    if value >= 600e9:
        hours, minutes = divmod(round(value / 60e9), 60)
        return f"{sign}{hours} h {minutes} min" if hours else f"{sign}{minutes} min"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{sign}{_three_digits(value / size)} {unit}"
    return f"{sign}{value:.0f} ns"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def count(number: float) -> str:
    """Return a count with thin spaces between thousands."""
    return f"{int(number):,}".replace(",", "\u202f")


def percent(part: float) -> str:
    """Return a part of one in percent: never `0 %` for something, never `100 %` for not all."""
    if 0 < part < 0.001:
        return "< 0.1 %"
    if 0.999 < part < 1:
        return "> 99.9 %"
    text = f"{part:.1%}" if 0 < part < 1 else f"{part:.0%}"
    return text.replace("%", " %").replace(".0 %", " %")


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 packet`, `2 packets`."""
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"


def moment(time_ns: int) -> str:
    """Return a UTC time to the millisecond, `2026-11-23 07:08:32.348`."""
    stamp = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{stamp:%Y-%m-%d %H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}"


def began(time_ns: int) -> str:
    """Return when something began, to the minute: `2026-11-23 07:08 UTC`, `09:28, date unknown`.

    Stamps without a date are kept on 1970-01-01.
    """
    shown = moment(time_ns)[:16]
    return f"{shown[11:]}, date unknown" if time_ns < _UNDATED_NS else f"{shown} UTC"


def size(number: int) -> str:
    """Return bytes as `1.4 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{_three_digits(number / factor)} {unit}"
    return f"{number} B"
