"""Numbers as a narrow column shows them."""


def duration(nanoseconds: int | None) -> str:
    """Return a duration in at most six columns, `167µs`; nothing for None."""
    if nanoseconds is None:
        return ""
    value = float(nanoseconds)
    for unit in ("ns", "µs", "ms"):
        if value < 999.5:
            digits = 0 if unit == "ns" or value >= 99.95 else 1
            return f"{value:.{digits}f}{unit}"
        value /= 1000
    return f"{value:.1f}s" if value < 999.5 else f"{value:.0f}s"


def rate(per_second: float) -> str:
    """Return a rate in at most five columns, `12.3k`; `0` only where nothing passed."""
    if per_second == 0:
        return "0"
    if per_second < 0.05:
        return "<0.1"
    if per_second < 99.95:
        return f"{per_second:.1f}"
    for factor, unit in ((1, ""), (1e3, "k"), (1e6, "M")):
        value = per_second / factor
        if value < 999.5:
            digits = 0 if not unit or value >= 99.95 else 1
            return f"{value:.{digits}f}{unit}"
    return f"{per_second / 1e9:.1f}G"


def percent(share: float, packets: int) -> str:
    """Return a share in at most five columns, `1.25%`; nothing where there were no packets.

    What is not nothing never reads as 0, what is not everything never as 100 %.
    """
    if not packets:
        return ""
    if share == 0:
        return "0"
    if share < 0.0001:
        return "<.01%"
    text = f"{share:.2%}" if share < 0.0995 else f"{share:.1%}" if share < 0.9995 else "100%"
    return "99.9%" if text == "100%" and share < 1 else text


def count(number: int) -> str:
    """Return a count with its thousands apart."""
    return f"{number:,}"


def elapsed(nanoseconds: int) -> str:
    """Return a running time, `00:12:34`."""
    seconds = nanoseconds // 1_000_000_000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
