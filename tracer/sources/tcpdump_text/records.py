"""Lines of a transcript to packet records: where one starts and ends, and what is noise."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_STAMP = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{1,9}|\d\d:\d\d:\d\d|\d{8,11}\.\d{1,9}"
_MAC = r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5}"
_OPENING = (
    rf"(?:IP6? |IP6?,|ARP, |RARP, |LLDP, |STP |MPLS |CDPv|EAPOL |LLC |{_MAC} |Broadcast "
    rf"|vlan \d+, |\S+ +(?:In|Out|B|M|P) +(?:IP6? |ARP, |ifindex ) ?"
    rf"|(?:In|Out|B|M|P) (?:IP6? |ARP, |{_MAC} ))"
)
# `^C` may be glued before the stamp; --number puts a count before it; -ttt and -ttttt a space.
_STAMPED = re.compile(rf"(?:\^C)?(?: *\d+  )?(?P<gap> ?)(?P<stamp>{_STAMP})[ \t]+(?=\S)")
_UNSTAMPED = re.compile(rf"(?:\^C)?(?: *\d+  )? ?(?={_OPENING})")
_IN_TUNNEL = re.compile(r"(?:VXLAN(?:-GPE)?,.* vni \d+.*|MPLS \(.*\)|OTV,.*)$")
_HEX = re.compile(r"\s+0x[0-9a-f]{4,}:")
_LISTENING = re.compile(r"listening on (\S+?),")
_READING = re.compile(r"reading from file ")
_COMMAND = re.compile(r"(?:^|[\s;|&/])tcpdump\s+(-.*|[a-z].*|$)")
_PROMPT = re.compile(r"^\[?(?:[\w.-]+@(?P<host>[\w.-]+))?[:\s]?[^\s#$]*\]?\s?[#$] ")
_NETNS = re.compile(r"ip\s+net\w*\s+ex\w*\s+(\S+)\s")
_INTERFACE = re.compile(r"(?:^|\s)-[a-zA-Z#]*?(?:i\s*|-interface[= ])(\S+)")
_DROPPED = re.compile(r"(\d+) packets? dropped by (kernel|interface)")
_HEADER_END = re.compile(r"length:? \d+(?:, options \(.*\))?(?:, bad cksum [^)]*\)!)?\)\s*$")
MAX_LINES = 16  # headers, a tunnel's, a quoted packet's; what follows is printed payload
_NOISE = re.compile(
    r"^\s*(?:\^C)?\s*(?:#.*|tcpdump:.*|Warning:.*|reading from file.*|.*listening on .*|Got \d+.*"
    r"|\d+ packets? (?:captured|received by filter|dropped by \w+).*|exit|logout)?\s*$"
)


@dataclass(slots=True)
class Record:
    """The text of one packet: `lines` without stamp, and what the transcript says around it."""

    offset: int
    stamp: str | None
    gap: bool
    lines: list[str]
    device: str | None
    host: str | None
    netns: str | None
    options: str
    section: int
    from_start: bool


@dataclass(slots=True)
class Transcript:
    """What the lines outside packets said; filled while `records` runs.

    `section` counts tcpdump runs in it; `ignored` lines that are neither packet nor anything
    tcpdump prints around packets.
    """

    device: str | None = None
    host: str | None = None
    netns: str | None = None
    options: str = ""
    section: int = 0
    from_start: bool = False
    ignored: int = 0
    ignored_offset: int | None = None
    dropped: int = 0


def sniff(first_bytes: bytes) -> bool:
    """Return whether the first bytes of a file (a few KiB) read as tcpdump text."""
    if b"\0" in first_bytes:
        return False
    for line in first_bytes.decode("utf-8", "replace").splitlines():
        if _is_opening(line) or _LISTENING.search(line):
            return True
    return False


def _is_opening(line: str) -> bool:
    stamped = _STAMPED.match(line)
    if stamped is None:
        return _UNSTAMPED.match(line) is not None
    return _UNSTAMPED.match(line[stamped.end() :]) is not None


def records(lines: Iterable[str], transcript: Transcript) -> Iterator[Record]:
    """Yield the packet records of a transcript in order; `transcript` gathers the rest."""
    current: Record | None = None
    offset = 0
    for raw in lines:
        line = raw.rstrip("\r\n").removeprefix("> ")
        opening = None if _is_inside(line, current) else _opened(line, offset, transcript)
        if opening is not None:
            if current is not None:
                yield current
            current = opening
        elif not _continued(line, current):
            _note(line, offset, transcript)
            if current is not None and line.strip() not in ("", "^C"):
                yield current
                current = None
        offset += len(raw.encode("utf-8", "surrogateescape"))
    if current is not None:
        yield current


# The packet inside VXLAN is printed at the start of a line, like one of its own without a stamp.
def _is_inside(line: str, current: Record | None) -> bool:
    return (
        current is not None
        and _IN_TUNNEL.search(current.lines[-1]) is not None
        and _STAMPED.match(line) is None
        and _UNSTAMPED.match(line) is not None
    )


def _opened(line: str, offset: int, about: Transcript) -> Record | None:
    match = _STAMPED.match(line) or _UNSTAMPED.match(line)
    if match is None:
        return None
    found = match.groupdict()
    return Record(
        offset, found.get("stamp"), found.get("gap") == " ", [line[match.end() :]],
        about.device, about.host, about.netns, about.options, about.section,
        about.from_start,
    )  # fmt: skip


# Further lines of a packet are indented; a paste may have lost that after a header's last bracket.
def _continued(line: str, current: Record | None) -> bool:
    if current is None:
        return False
    text = line.removeprefix("^C")
    indented = text[:1] in ("\t", " ") and not text.isspace()
    if not indented and not (_is_inside(line, current) or _expects_more(text, current)):
        return False
    if not _HEX.match(text) and len(current.lines) < MAX_LINES:
        current.lines.append(text.rstrip())
    return True


def _expects_more(text: str, current: Record) -> bool:
    return (
        bool(text.strip())
        and _HEADER_END.search(current.lines[-1]) is not None
        and _NOISE.match(text) is None
    )


def _note(line: str, offset: int, about: Transcript) -> None:
    listening = _LISTENING.search(line)
    command = _COMMAND.search(line)
    dropped = _DROPPED.search(line)
    if listening or _READING.match(line):
        about.device = listening[1] if listening else about.device
        about.section += 1
        about.from_start = True
    elif dropped:
        about.dropped += int(dropped[1])
    elif command:
        _note_command(line, command[1], about)
    elif not _NOISE.match(line) and not _PROMPT.match(line) and not _HEX.match(line):
        about.ignored += 1
        if about.ignored_offset is None:
            about.ignored_offset = offset


def _note_command(line: str, arguments: str, about: Transcript) -> None:
    prompt = _PROMPT.match(line)
    interface = _INTERFACE.search(arguments)
    netns = _NETNS.search(line)
    about.host = prompt["host"] if prompt and prompt["host"] else about.host
    about.netns = netns[1] if netns else None
    about.device = interface[1] if interface else None
    about.options = arguments
    about.from_start = False
    about.section += 1
