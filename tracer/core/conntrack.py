"""Conntrack entries as values: the only exact proof of a rewritten ICMP id or port."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracer.core.address import encode_ip
from tracer.core.schema import StructuredArray


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of an entry (kernel `struct nf_conntrack_tuple`).

    For ICMP both ports are None and `icmp_id` is set; addresses are text.
    """

    src: str
    dst: str
    proto: int
    sport: int | None = None
    dport: int | None = None
    icmp_id: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None

    def reversed(self) -> "Tuple":
        """Return the tuple of a packet that goes the other way."""
        return Tuple(
            self.dst, self.src, self.proto, self.dport, self.sport,
            self.icmp_id, self.icmp_type, self.icmp_code,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConntrackEntry:
    """An entry of one namespace's table; `original` as first seen, `reply` as answers look.

    `time_ns` (UTC epoch) and `event` (NEW, UPDATE, DESTROY) come from event logs, else None. `zone`
    is the original direction's, `zone_reply` the reply's where it differs, else None.
    """

    original: Tuple
    reply: Tuple
    zone: int = 0
    status: tuple[str, ...] = ()
    state: str | None = None
    mark: int | None = None
    host: str | None = None
    netns: str | None = None
    time_ns: int | None = None
    event: str | None = None
    ct_id: int | None = None
    timeout_s: int | None = None
    zone_reply: int | None = None

    @property
    def is_snat(self) -> bool:
        """Whether the source is translated: answers do not go to the original source."""
        return (self.reply.dst, self.reply.dport, self.reply.icmp_id) != (
            self.original.src, self.original.sport, self.original.icmp_id,
        )  # fmt: skip

    @property
    def is_dnat(self) -> bool:
        """Whether the destination is translated: others answer than the original destination."""
        return (self.reply.src, self.reply.sport) != (self.original.dst, self.original.dport)


EVENTS = ("", "NEW", "UPDATE", "DESTROY")  # index is the `event` column

CONNTRACK_DTYPE = np.dtype(
    [
        *((f"{way}_{end}_{half}", "<u8")
          for way in ("original", "reply") for end in ("src", "dst") for half in ("hi", "lo")),
        *((f"{way}_{name}", "<i4")
          for way in ("original", "reply")
          for name in ("sport", "dport", "icmp_id", "icmp_type", "icmp_code")),  # -1 null
        ("time_ns", "<i8"),  # -1 null
        ("ct_id", "<i8"),  # -1 null
        ("entry", "<i4"),  # index into the entries it was made from
        ("scope", "<i4"),  # index into the scopes: which namespace's table
        ("zone", "<i4"),
        ("zone_reply", "<i4"),
        ("proto", "<i2"),
        ("event", "i1"),  # index into EVENTS
    ]
)  # fmt: skip

Scope = tuple[str | None, str | None]  # host, netns; None is not known


def to_columns(entries: Sequence[ConntrackEntry]) -> tuple[StructuredArray, tuple[Scope, ...]]:
    """Return the entries as CONNTRACK_DTYPE, one record each in their order, and the scopes.

    Raises ValueError for an address that is none.
    """
    scopes: dict[Scope, int] = {}
    table = np.empty(len(entries), CONNTRACK_DTYPE)
    for number, entry in enumerate(entries):
        scope = scopes.setdefault((entry.host, entry.netns), len(scopes))
        reply_zone = entry.zone if entry.zone_reply is None else entry.zone_reply
        addresses = (entry.original.src, entry.original.dst, entry.reply.src, entry.reply.dst)
        table[number] = (
            *(half for address in addresses for half in encode_ip(address)),
            *_numbers(entry.original),
            *_numbers(entry.reply),
            -1 if entry.time_ns is None else entry.time_ns,
            -1 if entry.ct_id is None else entry.ct_id,
            number,
            scope,
            entry.zone,
            reply_zone,
            entry.original.proto,
            EVENTS.index(entry.event) if entry.event in EVENTS else 0,
        )
    return table, tuple(scopes)


def _numbers(way: Tuple) -> tuple[int, ...]:
    values = (way.sport, way.dport, way.icmp_id, way.icmp_type, way.icmp_code)
    return tuple(-1 if value is None else value for value in values)
