"""The FILTER of the commands as a value; matched on either side of NAT."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Conditions that all have to hold at one hop of an exchange for it to be shown.

    Addresses are texts of addresses or CIDRs; `proto` is an IP protocol number, or -2 for ARP.
    """

    icmp_id: int | None = None
    proto: int | None = None
    host: tuple[str, ...] = ()
    src: tuple[str, ...] = ()
    dst: tuple[str, ...] = ()
    port: tuple[int, ...] = ()
    sport: tuple[int, ...] = ()
    dport: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything matches."""
        return self == FlowFilter()
