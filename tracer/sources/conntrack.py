"""Conntrack dumps and event logs to entries: conntrack(8) in all its forms, /proc/net/nf_conntrack.

One line is one entry, with words in this order: event, family, protocol, timeout, state, original
tuple, flags, reply tuple, flags, the rest (conntrack-tools, libnetfilter_conntrack's snprintf).
XML says no ICMP ids, so its ICMP entries have none.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from xml.etree import ElementTree

from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.core.warnings import InputWarning
from tracer.sources.compression import decompressed
from tracer.sources.conntrack_times import LocalTimes, in_range
from tracer.sources.documents import text_of, utf8
from tracer.sources.findings import Findings
from tracer.sources.named_dumps import Dump, dumps_in, not_read

_LINE = re.compile(
    r"\s*(?:\[(?P<time>\d+\.\d+)\s*\])?\s*(?:\[(?P<event>NEW|UPDATE|DESTROY)\])?\s*"
    r"(?:ipv[46] +(?:2|10) +)?(?P<name>[a-z][\w-]*) +(?P<proto>\d+)(?: +(?P<timeout>\d+))?"
    r"(?: +(?P<state>[A-Z][A-Z0-9_]*))?(?: +timeout=\d+, stream_timeout=\d+)?"  # those of GRE
    r" +(?P<rest>src=.*)"
)
_WORD = re.compile(r"\[([A-Z_]+)\]|(\S+?)=(\S+)")
_STAMP = re.compile(r"\[(start|stop)=([^\]]*)\]?")
_FLOW = re.compile(r"<flow\b.*?</flow>")
_NOISE = re.compile(
    r"\s*(?:conntrack v\d.*|<\?xml.*|</?conntrack>|#.*|\[?\S*@.*[#$] .*|\^C.*)?\s*$"
)
_NEUTRON = re.compile(r"(?:qrouter|snat|fip|qdhcp)-[0-9a-f]{8}[0-9a-f-]*")
_NAMED = re.compile(
    r"^(?:(?P<host>(?!nf_conntrack).+?)[-_.])?(?:nf_)?conntrack"
    r"(?:[-_.](?:events?|log))?(?:[-_.](?P<netns>.+))?$"
)
_SUFFIX = re.compile(r"(?:\.(?:txt|log|xml|out|dump|gz|xz|zst))+$")
_TUPLE_KEYS = {"src", "dst", "sport", "dport", "type", "code"}
_SKIPPED_FLAGS = {"USERSPACE"}
_OTHER_SUFFIXES = {".md", ".toml", ".json", ".pcap", ".pcapng", ".cap"}  # of what is no dump
_LARGEST = 1 << 30  # bytes of a dump, decompressed

WARNINGS = {
    "unparsed-line": "lines that are no conntrack entry were passed over; the first is line {line}",
    "icmp-id-absent": "XML dumps of ICMP entries carry no ids; take the dump as plain text",
    "stamp-unread": "entries have stamps that are no times; they count as entries without",
}


def read_conntrack(
    source: Path | str | bytes,
    host: str | None = None,
    netns: str | None = None,
    capture: str | None = None,
) -> tuple[list[ConntrackEntry], list[InputWarning]]:
    """Return the entries of a dump or event log in file order, and what was wrong with it.

    `source` is a path or the text's bytes, which may be compressed. A host or namespace not given
    comes from a file name such as `compute03-conntrack-qrouter-….txt`. Raises InputError when the
    file cannot be read.
    """
    if not isinstance(source, bytes):
        named_host, named_netns = scope_of(Path(source).name)
        host, netns = host or named_host, netns or named_netns
    name = capture or ("-" if isinstance(source, bytes) else str(source))
    entries: list[ConntrackEntry] = []
    counts: Counter[str] = Counter()
    first: dict[str, tuple[int, int]] = {}  # line, offset
    times = LocalTimes()
    offset = 0
    findings = Findings(name)
    if isinstance(source, bytes):
        dump = utf8(decompressed(source, findings, _LARGEST))
    else:
        dump = text_of(source, findings, _LARGEST)
    for number, line in enumerate(dump.splitlines(keepends=True), 1):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        for entry, doubt in _entries(text, host, netns, times):
            for kind in doubt:
                counts[kind] += 1
                first.setdefault(kind, (number, offset))
            if entry is not None:
                entries.append(entry)
        offset += len(line)
    for kind, count in counts.items():
        line_number, place = first[kind]
        message = WARNINGS[kind].format(line=line_number)
        findings.add(kind, message, place, count)
    return times.settled(entries), list(findings.warnings())


def read_conntrack_folder(
    folder: Path,
) -> tuple[list[ConntrackEntry], list[InputWarning]]:
    """Return the entries of all dumps in a folder and its subfolders.

    Those `[[conntrack]]` of a points.toml names (`file`, `host`, `netns`), else files with
    "conntrack" in their names. Raises InputError when points.toml or a named file is unusable.
    """
    entries: list[ConntrackEntry] = []
    warnings: list[InputWarning] = []
    for file, host, netns in conntrack_files(folder):
        if refusal := not_read(file, "conntrack"):
            warnings.append(refusal)
            continue
        some, wrong = read_conntrack(file, host, netns)
        entries += some
        warnings += wrong
    return entries, warnings


def conntrack_files(folder: Path) -> list[Dump]:
    """Return (file, host, netns) of the dumps in a folder, those `read_conntrack_folder` reads."""
    return list(dumps_in(folder, "conntrack", _may_be_dump))


def _may_be_dump(path: Path) -> bool:
    is_other = _OTHER_SUFFIXES & set(path.suffixes)
    if "conntrack" not in path.name or is_other:
        return False
    # One that cannot be read is told with the captures.
    return os.path.isfile(path) and os.access(path, os.R_OK)


def scope_of(file_name: str) -> tuple[str | None, str | None]:
    """Return (host, netns) that a dump's file name says, None for what it does not."""
    match = _NAMED.search(_SUFFIX.sub("", file_name))
    if match is None:
        return None, None
    neutron = _NEUTRON.search(file_name)
    return match["host"], neutron[0] if neutron else match["netns"]


# With each entry the kinds of warning it deserves; None is a line that should have been one.
def _entries(
    text: str, host: str | None, netns: str | None, times: LocalTimes
) -> Iterator[tuple[ConntrackEntry | None, list[str]]]:
    if "<flow" in text:
        for flow in _FLOW.findall(text) or [""]:
            try:
                tree = ElementTree.fromstring(flow)
            except ElementTree.ParseError:
                yield None, ["unparsed-line"]
            else:
                entry = _xml_entry(tree, host, netns)
                yield _doubted(entry, partial(times.xml_entry, flow=tree))
    elif not _NOISE.match(text):
        entry = _line_entry(_STAMP.sub("", text), host, netns)
        stamps = dict(_STAMP.findall(text))
        yield _doubted(entry, partial(times.text_entry, **stamps))


def _doubted(
    entry: ConntrackEntry | None, timed: Callable[[ConntrackEntry], ConntrackEntry]
) -> tuple[ConntrackEntry | None, list[str]]:
    if entry is None:
        return None, ["unparsed-line"]
    is_icmp = entry.original.proto in (1, 58)
    doubt = ["icmp-id-absent"] if is_icmp and entry.original.icmp_id is None else []
    try:
        return timed(entry), doubt
    except ValueError:
        return entry, [*doubt, "stamp-unread"]


def _line_entry(text: str, host: str | None, netns: str | None) -> ConntrackEntry | None:
    match = _LINE.match(text)
    if match is None:
        return None
    ways: list[dict[str, str]] = []
    flags: list[str] = []
    rest: dict[str, str] = {}
    proto = int(match["proto"])
    for flag, key, value in _WORD.findall(match["rest"]):
        if flag:
            flags.append(flag)
        elif key == "src":
            ways.append({"src": value})
        elif not ways or not _is_of_tuple(key, proto, ways[-1]):
            rest[key] = value
        else:
            ways[-1][key] = value
    try:
        original, reply = (_tuple(way, proto) for way in ways)
        zone, zone_reply = _zones(rest)
        return ConntrackEntry(
            original, reply, zone, tuple(f for f in flags if f not in _SKIPPED_FLAGS),
            match["state"], _number(rest.get("mark")), host, netns,
            _nanoseconds(match["time"]), match["event"], _number(rest.get("id")),
            _number(match["timeout"]), zone_reply,
        )  # fmt: skip
    except ValueError:
        return None


# `id=` ends an ICMP tuple; further on it is the entry's own.
def _is_of_tuple(key: str, proto: int, way: dict[str, str]) -> bool:
    if key == "id":
        return proto in (1, 58) and "id" not in way
    return key in _TUPLE_KEYS and key not in way


def _tuple(way: dict[str, str], proto: int) -> Tuple:
    src, dst = way.get("src", ""), way.get("dst", "")
    names = ("sport", "dport", "id", "type", "code")
    return Tuple(
        str(ip_address(src)), str(ip_address(dst)), proto,
        *(_number(way.get(name)) for name in names),
    )  # fmt: skip


def _zones(rest: dict[str, str]) -> tuple[int, int | None]:
    both = _number(rest.get("zone")) or 0
    if "zone-orig" not in rest and "zone-reply" not in rest:
        return both, None
    return _number(rest.get("zone-orig")) or 0, _number(rest.get("zone-reply")) or 0


def _number(text: str | None) -> int | None:
    return None if text is None else int(text, 0)


def _nanoseconds(text: str | None) -> int | None:
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    return in_range(int(whole) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9]))


def _xml_entry(
    flow: ElementTree.Element, host: str | None, netns: str | None
) -> ConntrackEntry | None:
    try:
        metas = {meta.get("direction"): meta for meta in flow.iter("meta")}
        original, reply = (_xml_tuple(metas[way]) for way in ("original", "reply"))
        about = metas.get("independent", ElementTree.Element("meta"))
        zone = _xml_number(about, "zone") or _xml_number(metas["original"], "zone") or 0
        zone_reply = _xml_number(metas["reply"], "zone")
        return ConntrackEntry(
            original, reply, zone,
            tuple(tag.upper() for tag in ("unreplied", "assured", "offload")
                  if about.find(tag) is not None),
            about.findtext("state"), _xml_number(about, "mark"), host, netns,
            None, (flow.get("type") or "").upper() or None, _xml_number(about, "id"),
            _xml_number(about, "timeout"), zone_reply,
        )  # fmt: skip
    except (KeyError, ValueError, StopIteration):
        return None


def _xml_tuple(meta: ElementTree.Element) -> Tuple:
    layer4 = meta.find("layer4")
    if layer4 is None:
        raise ValueError("an entry without layer4")
    way = {child.tag: child.text or "" for child in next(meta.iter("layer3"))}
    way |= {child.tag: child.text or "" for child in layer4}
    return _tuple(way, int(layer4.get("protonum", "0")))


def _xml_number(parent: ElementTree.Element, tag: str) -> int | None:
    return _number(parent.findtext(tag))
