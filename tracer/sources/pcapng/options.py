"""Options and bodies of the blocks that describe a pcapng section: interfaces, statistics."""

import re
import struct
from collections.abc import Iterator

from tracer.sources.frames import Interface
from tracer.sources.pcapng import blocks as b

Options = dict[int, bytes]
_CLOCK = re.compile(r"^observation point; clock (.+)$")  # as tracer itself describes interfaces


def is_pcapng(head: bytes) -> bool:
    """Return whether the first 12 bytes open a section in either byte order."""
    return byte_order(head) is not None


def byte_order(head: bytes) -> str | None:
    """Return the struct byte order of the section these 12 bytes open, None if they do not."""
    if len(head) < b.MIN_BLOCK or struct.unpack_from("<I", head)[0] != b.SECTION:
        return None
    for order in "<>":
        if struct.unpack_from(order + "I", head, 8)[0] == b.BYTE_ORDER_MAGIC:
            return order
    return None


def read_options(body: bytes, order: str) -> tuple[Options, bool]:
    """Return the options by code (the first of each), and whether all of them were sound."""
    found: Options = {}
    sound = True
    for code, value in _walk(body, order):
        if value is None:
            sound = False
        else:
            found.setdefault(code, value)
    return found, sound


def _walk(body: bytes, order: str) -> Iterator[tuple[int, bytes | None]]:
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == b.OPTION_END:
            return
        value = body[at + 4 : at + 4 + length]
        yield code, value if len(value) == length else None
        at += 4 + (length + 3) // 4 * 4


def interface_of(body: bytes, order: str) -> tuple[Interface, tuple[int, int, int, int], bool]:
    """Return an interface, its INTERFACE_DTYPE record, and whether its options were sound.

    `body` is at least the 8 bytes of link type and snaplen.
    """
    linktype, _, snaplen = struct.unpack_from(order + "HHI", body)
    options, sound = read_options(body[8:], order)
    resolution = _number(options, b.OPTION_IF_TSRESOL, order + "B", 6)
    offset_s = _number(options, b.OPTION_IF_TSOFFSET, order + "q", 0)
    name = _text(options, b.OPTION_IF_NAME) or None
    clock = _CLOCK.search(_text(options, b.OPTION_IF_DESCRIPTION))
    mac = options.get(b.OPTION_IF_MAC, b"")
    sound &= all(
        len(options.get(code, b"\0" * size)) == size
        for code, size in ((b.OPTION_IF_TSRESOL, 1), (b.OPTION_IF_TSOFFSET, 8))
    )
    # The upper bit chooses the base: 2 when set, else 10.
    record = (snaplen, offset_s, resolution & 0x7F, resolution >> 7)
    interface = Interface(
        linktype,
        name,
        mac=int.from_bytes(mac, "big") if len(mac) == 6 else None,
        clock=clock.group(1) if clock else None,
    )
    return interface, record, sound


def drops_of(body: bytes, order: str) -> tuple[int, int | None, tuple[int, int]]:
    """Return the interface of a statistics block, the packets lost there, None if not told, and
    until when: the halves of a stamp.

    `body` is at least 12 bytes; counted are isb_ifdrop and isb_osdrop. The stamp is isb_endtime, or
    that of the block.
    """
    interface, *stamp = struct.unpack_from(order + "III", body)
    options, _ = read_options(body[12:], order)
    end = options.get(b.OPTION_END_TIME, b"")
    high, low = struct.unpack(order + "II", end) if len(end) == 8 else stamp
    told = [c for c in (b.OPTION_IF_DROP, b.OPTION_OS_DROP) if len(options.get(c, b"")) == 8]
    drops = sum(_number(options, code, order + "Q", 0) for code in told)
    return interface, drops if told else None, (high, low)


def _text(options: Options, code: int) -> str:
    return options.get(code, b"").rstrip(b"\0").decode("utf-8", "replace")


def _number(options: Options, code: int, form: str, default: int) -> int:
    value = options.get(code)
    if value is None or len(value) != struct.calcsize(form):
        return default
    return int(struct.unpack(form, value)[0])
