"""Printed time stamps to nanoseconds, for every `-t` option of tcpdump(1).

| option | printed | becomes |
|---|---|---|
| none | `15:32:49.080815` | that time on 1970-01-01; past midnight, on 1970-01-02 |
| `-t` | nothing | null |
| `-tt` | `1700000000.123456` | exact |
| `-ttt` | ` 00:00:00.250000` since the previous line | sums, from 1970-01-01 00:00 |
| `-tttt` | `2023-11-14 22:13:20.123456` | exact if the printing machine's zone is UTC |
| `-ttttt` | ` 00:00:00.500000` since the first line | as printed, from 1970-01-01 00:00 |

A day is never guessed from another file: captures without dates may be of different days.
"""

import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
NO_TIME = -1
_EPOCH = date(1970, 1, 1).toordinal()
_DELTA_OPTION = re.compile(r"(?:^|\s)-[a-zA-Z#]*?(t{1,5})")

WARNINGS = {
    "time-absent": "no time stamps were printed (tcpdump -t); times are unknown",
    "date-unknown": "stamps have no date; they are kept on 1970-01-01 and are not wall time",
    "zone-unknown": "stamps are local time of an unknown zone; they are read as UTC",
    "time-relative": "stamps count from the first packet; they are kept from 1970-01-01 00:00",
}


def decode_stamps(
    stamps: Sequence[str | None], gaps: Sequence[bool], options: str = ""
) -> tuple[list[int], dict[str, int]]:
    """Return the time in ns of each printed stamp, and how many stamps each warning is about.

    `gaps` says whether a space preceded the stamp, the mark of `-ttt` and `-ttttt`; `options` is
    the command line when the transcript shows it.
    """
    kinds: dict[str, int] = {}
    if any(gaps):
        return _relative(stamps, options), {"time-relative": len(stamps)}
    times: list[int] = []
    day = 0
    previous = 0
    for stamp in stamps:
        kind, value = _parse(stamp)
        if kind == "date-unknown":
            # Half a day back is midnight; less is reordering.
            day += DAY_NS if value + DAY_NS // 2 < previous else 0
            previous = value
            value += day
        if kind:
            kinds[kind] = kinds.get(kind, 0) + 1
        times.append(value)
    return times, kinds


def _parse(stamp: str | None) -> tuple[str, int]:
    if stamp is None:
        return "time-absent", NO_TIME
    if ":" not in stamp:
        whole, _, fraction = stamp.partition(".")
        return "", int(whole) * SECOND_NS + _fraction(fraction)
    day, _, clock = stamp.rpartition(" ")
    if not day:
        return "date-unknown", _clock(clock)
    days = date.fromisoformat(day).toordinal() - _EPOCH
    return "zone-unknown", days * DAY_NS + _clock(clock)


def _clock(text: str) -> int:
    hours, minutes, rest = text.split(":")
    seconds, _, fraction = rest.partition(".")
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * SECOND_NS + _fraction(fraction)


def _fraction(digits: str) -> int:
    return int(digits.ljust(9, "0")) if digits else 0


# Times since the first packet do not fall and seldom repeat; differences do one or the other.
def _counts_up(values: Sequence[int]) -> bool:
    falls = any(later < earlier for earlier, later in pairwise(values))
    repeats = sum(later == earlier != 0 for earlier, later in pairwise(values))
    return not falls and 2 * repeats <= len(values)


def _relative(stamps: Sequence[str | None], options: str) -> list[int]:
    values = [NO_TIME if stamp is None else _parse(stamp)[1] for stamp in stamps]
    seen = [value for value in values if value != NO_TIME]
    option = _DELTA_OPTION.search(options)
    since_first = option is not None and len(option[1]) == 5
    if option is None or len(option[1]) not in (3, 5):
        since_first = _counts_up(seen)
    if since_first:
        return values
    total = 0
    times: list[int] = []
    for value in values:
        total += max(value, 0)
        times.append(NO_TIME if value == NO_TIME else total)
    return times
