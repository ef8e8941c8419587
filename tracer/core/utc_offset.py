"""How far local time is from UTC: time zones are whole quarters of an hour away from it."""

QUARTER_NS = 900 * 1_000_000_000
LEAST_NS, MOST_NS = -12 * 4 * QUARTER_NS, 14 * 4 * QUARTER_NS


def utc_offset(local_ns: int, utc_ns: int, tolerance_ns: int) -> int | None:
    """Return the zone's offset (ns) where both stamps are of one moment; None if they are not.

    `tolerance_ns` is by how much they may be apart besides.
    """
    offset = round((local_ns - utc_ns) / QUARTER_NS) * QUARTER_NS
    is_near = abs(local_ns - utc_ns - offset) <= tolerance_ns
    return offset if is_near and LEAST_NS <= offset <= MOST_NS else None
