"""Files that one capture was written to in turns: by `tcpdump -C` or `-G`, dumpcap, editcap.

They are told from their names, which begin alike and differ in a number or a time.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tracer.sources.point_names import COMPRESSED, is_general_word, stem_of
from tracer.sources.points import PointNaming

# tcpdump -C: nic.pcap, nic.pcap1, nic.pcap2; with -W from nic.pcap0 on.
_COUNTED = re.compile(r"(?P<base>.+\.(?:pcap|pcapng|cap|dmp|dump))(?P<mark>\d{1,6})")
# dumpcap and editcap: nic_00001_20261126224810.pcapng, or the number last.
_NUMBERED = re.compile(r"(?P<base>.+?)[-_.](?P<mark>\d{5}_\d{14}|\d{14}_\d{5})")
# tcpdump -G: what strftime makes of a date, a date with a time, seconds, or a time with colons, as
# what has other signs between its numbers may be an address.
_STAMPED = re.compile(
    r"(?P<base>.+?)[-_.](?P<mark>"
    r"20\d\d[-_.]?[01]\d[-_.]?[0-3]\d(?:[-_.T]?[0-2]\d[-_.:]?[0-5]\d(?:[-_.:]?[0-5]\d)?)?"
    r"|1\d{9}|[0-2]\d:[0-5]\d:[0-5]\d)"
)


def turn_of(name: str) -> tuple[str, str]:
    """Return what the names of all files of a capture written in turns have in common, and what
    only this one's has; the latter is empty for a name that says nothing of turns.
    """
    name = Path(name).name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    counted = _COUNTED.fullmatch(name)
    stem = stem_of(counted["base"] if counted else name)
    marks = [counted["mark"]] if counted else []
    found = _NUMBERED.fullmatch(stem) or _STAMPED.fullmatch(stem)
    if found and not is_general_word(found["base"]):
        stem = found["base"]
        marks.append(found["mark"])
    return stem, " ".join(marks)


def as_one(paths: Sequence[str], namings: Sequence[PointNaming]) -> list[PointNaming]:
    """Return the namings of captures, where those written in turns name one point.

    They lie in one folder. What is said of one of them, as in points.toml, is said of all of which
    nothing else is. Two other captures whose names end alike are named with their folders.
    """
    found = list(namings)
    whole = [naming.name for naming in namings]  # with folders
    owner = [(path, naming.fallback) for path, naming in zip(paths, namings, strict=True)]
    for (folder, base), members in _turns(paths).items():
        said = next((namings[at].entries for at in members if namings[at].entries), ())
        for at in members:
            entries = namings[at].entries or said
            found[at] = replace(namings[at], fallback=base, entries=entries)
            whole[at] = str(Path(namings[at].name).with_name(base))
            owner[at] = (folder, base)
    captures = Counter(fallback for _, fallback in set(owner))
    return [
        naming if captures[naming.fallback] == 1 else replace(naming, fallback=name)
        for naming, name in zip(found, whole, strict=True)
    ]


# The captures written in turns: folder and common name, and which files.
def _turns(paths: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for at, path in enumerate(paths):
        base, mark = turn_of(path)
        found[os.path.dirname(os.path.abspath(path)), base].setdefault(mark, at)
    return {key: list(marks.values()) for key, marks in found.items() if len(marks) > 1}
