"""TCP numbers as tcpdump prints them back to those on the wire (print-tcp.c).

The first packet of a conversation that acknowledges, and every SYN-ACK, is printed with absolute
numbers; later ones relative to it, unless `-S` was given.
"""

from collections.abc import Iterator, Sequence

from tracer.sources.tcpdump_text.parsed import Parsed

_ACK = 0x10
_SYN = 0x02
_MASK = 0xFFFF_FFFF
# Absolute numbers are random 32-bit ones: both below this is once in 2^24 conversations.
_SMALL = 1 << 20

Printed = tuple[int, str, int, int | None]  # packet, column, printed number, what it is relative to


def resolve_sequences(
    packets: Sequence[Parsed], is_absolute: bool | None = None, from_start: bool = False
) -> set[int]:
    """Make `tcp_seq` and `tcp_ack` absolute in place; return the packets where they are unknown.

    `is_absolute` says whether `-S` was given; None finds it out from the numbers. What cannot be
    made absolute, because what it is relative to is not in the text, is removed; `from_start` says
    that the text has the capture's first packet.
    """
    printed = list(_walk(packets, from_start))
    if is_absolute is None:
        is_absolute = _looks_absolute(printed)
    if is_absolute:
        return set()
    unknown: set[int] = set()
    for index, name, value, base in printed:
        if base is None:
            packets[index].packet.pop(name)
            unknown.add(index)
        else:
            packets[index].packet[name] = (value + base) & _MASK
    return unknown


def _walk(packets: Sequence[Parsed], from_start: bool) -> Iterator[Printed]:
    bases: dict[tuple[str, str], list[int | None]] = {}
    for index, parsed in enumerate(packets):
        packet = parsed.packet
        flags = packet.get("tcp_flags", 0)
        if not flags & _ACK or "tcp_ack" not in packet:
            continue
        source, target = parsed.ends
        key = (min(source, target), max(source, target))
        way = int(source > target)
        if not source:
            yield from _numbers(index, packet, None, None)
        elif key not in bases or flags & _SYN:
            bases[key] = _start(packet, way, from_start)
            if bases[key] == [None, None]:
                yield from _numbers(index, packet, None, None)
        else:
            yield from _numbers(index, packet, bases[key][way], bases[key][1 - way])


def _start(packet: dict[str, int], way: int, from_start: bool) -> list[int | None]:
    seq, ack = packet.get("tcp_seq"), packet["tcp_ack"]
    pasted_late = (
        not from_start and not packet["tcp_flags"] & _SYN and ack < _SMALL and (seq or 0) < _SMALL
    )
    if pasted_late:
        return [None, None]
    ends: list[int | None] = [seq, (ack - 1) & _MASK]
    return ends if way == 0 else ends[::-1]


def _numbers(
    index: int, packet: dict[str, int], own: int | None, other: int | None
) -> Iterator[Printed]:
    if "tcp_seq" in packet:
        yield index, "tcp_seq", packet["tcp_seq"], own
    yield index, "tcp_ack", packet["tcp_ack"], other


def _looks_absolute(printed: Sequence[Printed]) -> bool:
    votes = 0
    for _, _, value, base in printed:
        if base is not None:
            votes += 1 if _distance(value, base) < _distance(value, 0) else -1
    return votes > 0


def _distance(one: int, other: int) -> int:
    return min((one - other) & _MASK, (other - one) & _MASK)
