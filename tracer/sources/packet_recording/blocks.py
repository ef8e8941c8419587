"""The blocks of a packet recording beyond plain pcapng ones."""

import struct

APPLICATION = b"tracer follow"  # shb_userappl
BLOCK = 0x80747263  # a type for local use: the upper bit, then "trc"
MAGIC = b"tracer\x00\x01"
COLUMNS, END = 0, 1
HEAD = struct.Struct("<II8sI")  # type, length, MAGIC, COLUMNS or END
_SECTION, _INTERFACE, _STATISTICS = 0x0A0D0D0A, 1, 5
_COMMENT, _NAME, _DESCRIPTION, _APPLICATION, _MAC, _RESOLUTION = 1, 2, 3, 4, 6, 9
_OS_DROP = 7
_SNAPLEN = 262_144


def section() -> bytes:
    """Return the block that opens the file."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(_SECTION, body, (_APPLICATION, APPLICATION))


def interface(linktype: int, name: str, description: str, mac: int | None) -> bytes:
    """Return the description of an interface whose stamps are nanoseconds."""
    options = [
        (_NAME, name.encode()), (_DESCRIPTION, description.encode()), (_RESOLUTION, b"\x09"),
    ]  # fmt: skip
    if mac is not None:
        options.append((_MAC, mac.to_bytes(6, "big")))
    return _block(_INTERFACE, struct.pack("<HHI", linktype, 0, _SNAPLEN), *options)


def statistics(time_ns: int, lost: int, comment: str) -> bytes:
    """Return what was lost before it came into the file, told of the first interface."""
    body = struct.pack("<III", 0, time_ns >> 32, time_ns & 0xFFFF_FFFF)
    options = ((_COMMENT, comment.encode()), (_OS_DROP, struct.pack("<Q", lost)))
    return _block(_STATISTICS, body, *options)


def columns(data: bytes) -> bytes:
    """Return a block of columns, an Arrow stream of one table."""
    return _local(COLUMNS, data)


def end(data: bytes) -> bytes:
    """Return the last block, whose data is JSON."""
    return _local(END, data)


def _local(kind: int, data: bytes) -> bytes:
    size = struct.pack("<I", len(data))
    body = MAGIC + struct.pack("<I", kind) + size + data
    return _block(BLOCK, body)


def _block(kind: int, body: bytes, *options: tuple[int, bytes]) -> bytes:
    for code, value in options:
        body += struct.pack("<HH", code, len(value)) + _padded(value)
    if options:
        body += bytes(4)  # opt_endofopt
    body = _padded(body)
    total = len(body) + 12
    return struct.pack("<II", kind, total) + body + struct.pack("<I", total)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def local_data(block: bytes) -> tuple[int, bytes] | None:
    """Return the kind and data of a block of ours, None for any other."""
    if len(block) < HEAD.size + 8:
        return None
    kind, total, magic, what = HEAD.unpack_from(block)
    (size,) = struct.unpack_from("<I", block, HEAD.size)
    if kind != BLOCK or magic != MAGIC or HEAD.size + 4 + size > len(block) - 4:
        return None
    if total != len(block) or struct.unpack_from("<I", block, len(block) - 4)[0] != total:
        return None
    return what, block[HEAD.size + 4 : HEAD.size + 4 + size]
