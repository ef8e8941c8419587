"""TCP numbers as tcpdump prints them back to those on the wire (print-tcp.c).

The first packet of a conversation that acknowledges, and every SYN-ACK, is printed with absolute
numbers; later ones relative to it, unless `-S` was given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sys import intern

from tracer.sources.tcpdump_text.parsed import Parsed

_ACK = 0x10
_SYN = 0x02
_MASK = 0xFFFF_FFFF
# Absolute numbers are random 32-bit ones: both below this is once in 2^24 conversations.
_SMALL = 1 << 20

Printed = tuple["Segment", str, int, int | None]  # of which segment, column, number, relative to


@dataclass(slots=True)
class Segment:
    """The numbers of a TCP segment that acknowledges, as printed; None where not printed.

    `source` and `target` are the printed ends, port included. `row` is the packet's, also when the
    segment is the one its ICMP error quotes.
    """

    row: int
    is_quoted: bool
    source: str
    target: str
    flags: int
    tcp_seq: int | None
    tcp_ack: int | None

    @classmethod
    def of(cls, row: int, parsed: Parsed) -> "Segment | None":
        """Return the segment of a packet, None when it has none whose numbers may be relative."""
        tcp = parsed.inner or parsed
        flags = tcp.packet.get("tcp_flags", 0)
        if not flags & _ACK or "tcp_ack" not in tcp.packet:
            return None
        source, target = map(intern, tcp.ends)
        seq, ack = tcp.packet.get("tcp_seq"), tcp.packet["tcp_ack"]
        return cls(row, parsed.inner is not None, source, target, flags, seq, ack)


def resolve_sequences(
    segments: Sequence[Segment], is_absolute: bool | None = None, from_start: bool = False
) -> int:
    """Make the numbers of one tcpdump run absolute in place; return how many segments keep none.

    `is_absolute` says whether `-S` was given; None finds it out from the numbers. What cannot be
    made absolute, because what it is relative to is not in the text, becomes None; `from_start`
    says that the text has the capture's first packet.
    """
    printed = list(_walk(segments, from_start))
    if is_absolute is None:
        is_absolute = _looks_absolute(printed)
    if is_absolute:
        return 0
    unknown: set[int] = set()
    for segment, name, value, base in printed:
        if base is None:
            unknown.add(segment.row)
        setattr(segment, name, None if base is None else (value + base) & _MASK)
    return len(unknown)


def _walk(segments: Sequence[Segment], from_start: bool) -> Iterator[Printed]:
    bases: dict[tuple[str, str], list[int | None]] = {}
    for segment in segments:
        source, target = segment.source, segment.target
        key = (min(source, target), max(source, target))
        way = int(source > target)
        if not source:
            yield from _numbers(segment, None, None)
        elif key not in bases or segment.flags & _SYN:
            bases[key] = _start(segment, way, from_start)
            if bases[key] == [None, None]:
                yield from _numbers(segment, None, None)
        else:
            yield from _numbers(segment, bases[key][way], bases[key][1 - way])


def _start(segment: Segment, way: int, from_start: bool) -> list[int | None]:
    seq, ack = segment.tcp_seq, segment.tcp_ack or 0
    is_small = ack < _SMALL and (seq or 0) < _SMALL
    if is_small and not from_start and not segment.flags & _SYN:
        return [None, None]  # the text begins in the middle of the conversation
    ends: list[int | None] = [seq, (ack - 1) & _MASK]
    return ends if way == 0 else ends[::-1]


def _numbers(segment: Segment, own: int | None, other: int | None) -> Iterator[Printed]:
    if segment.tcp_seq is not None:
        yield segment, "tcp_seq", segment.tcp_seq, own
    if segment.tcp_ack is not None:
        yield segment, "tcp_ack", segment.tcp_ack, other


def _looks_absolute(printed: Sequence[Printed]) -> bool:
    votes = 0
    for _, _, value, base in printed:
        if base is not None:
            votes += 1 if _distance(value, base) < _distance(value, 0) else -1
    return votes > 0


def _distance(one: int, other: int) -> int:
    return min((one - other) & _MASK, (other - one) & _MASK)
