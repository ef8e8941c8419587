"""Conntrack entries as values: the only exact proof of a rewritten ICMP id or port."""

from dataclasses import dataclass, replace


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
    is the original direction's, `zone_reply` the reply's where it differs, else None. `start_ns`
    and `stop_ns` (UTC epoch) are when the kernel made and destroyed the entry, where it keeps that
    (`net.netfilter.nf_conntrack_timestamp`) and the dump shows it; else None. `is_local` says that
    all three were printed as local time of an unknown zone, and are what UTC would read so.
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
    start_ns: int | None = None
    stop_ns: int | None = None
    is_local: bool = False

    def shifted(self, shift_ns: int) -> "ConntrackEntry":
        """Return the entry with what was printed as local time in UTC, the zone's offset (ns) off.

        An entry without such stamps is returned as it is.
        """
        if not self.is_local:
            return self
        time_ns, start_ns, stop_ns = (
            None if stamp is None else stamp - shift_ns
            for stamp in (self.time_ns, self.start_ns, self.stop_ns)
        )
        return replace(self, time_ns=time_ns, start_ns=start_ns, stop_ns=stop_ns, is_local=False)
