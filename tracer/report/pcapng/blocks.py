"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng) as bytes, little-endian.

Made with dpkt: it is needed elsewhere too, and takes half the time that python-pcapng does.
"""

import struct

from dpkt import pcapng

SNAPLEN = 262_144
NANOSECONDS = b"\x09"  # if_tsresol: units of 10**-9 s
_MAC_ADDRESS, _PACKET_FLAGS = 6, 2  # if_MACaddr, epb_flags
_WIRE_LEN = slice(24, 28)  # of an enhanced packet block
_MAX_TEXT = 65_535


def section(application: str) -> bytes:
    """Return the block that opens a section."""
    options = [_option(pcapng.PCAPNG_OPT_SHB_USERAPPL, application.encode())]
    return bytes(pcapng.SectionHeaderBlockLE(opts=_ended(options)))


def interface(linktype: int, name: str, description: str, mac: int | None) -> bytes:
    """Return the description of an interface whose stamps are nanoseconds."""
    options = [
        _option(pcapng.PCAPNG_OPT_IF_NAME, name.encode()),
        _option(pcapng.PCAPNG_OPT_IF_DESCRIPTION, description.encode()),
        _option(pcapng.PCAPNG_OPT_IF_TSRESOL, NANOSECONDS),
    ]
    if mac is not None:
        options.append(_option(_MAC_ADDRESS, mac.to_bytes(6, "big")))
    block = pcapng.InterfaceDescriptionBlockLE(
        linktype=linktype, snaplen=SNAPLEN, opts=_ended(options)
    )
    return bytes(block)


def packet(
    interface_: int, time_ns: int, data: bytes, wire_len: int, direction: int, comment: str
) -> bytes:
    """Return a packet with its comment; `direction` is `core.point.Direction`, -1 unknown."""
    # epb_flags: bits 0-1 are 1 inbound, 2 outbound.
    options = [_option(pcapng.PCAPNG_OPT_COMMENT, comment.encode()[:_MAX_TEXT])]
    if direction >= 0:
        options.append(_option(_PACKET_FLAGS, struct.pack("<I", direction + 1)))
    block = bytearray(
        bytes(
            pcapng.EnhancedPacketBlockLE(
                iface_id=interface_,
                ts_high=time_ns >> 32,
                ts_low=time_ns & 0xFFFF_FFFF,
                pkt_data=data,
                opts=_ended(options),
            )
        )
    )
    # dpkt takes what was captured for the length on the wire.
    block[_WIRE_LEN] = struct.pack("<I", max(wire_len, len(data)))
    return bytes(block)


def _option(code: int, value: bytes) -> pcapng.PcapngOptionLE:
    return pcapng.PcapngOptionLE(code=code, data=value)


def _ended(options: list[pcapng.PcapngOptionLE]) -> list[pcapng.PcapngOptionLE]:
    return [*options, pcapng.PcapngOptionLE(code=pcapng.PCAPNG_OPT_ENDOFOPT)]
