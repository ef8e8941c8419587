"""One recorded NAT rule (iptables or nftables) as a value, with the chains that lead to it."""

from dataclasses import dataclass, replace

#: Networks are (address, prefix length) of 128 bits, IPv4 mapped (`core.address`), host bits zero.
Network = tuple[int, int]
Range = tuple[int, int]  # of ports or protocol numbers, both ends included

SOURCE_ACTIONS = frozenset({"snat", "masquerade"})
TARGET_ACTIONS = frozenset({"dnat", "redirect"})
HOOKS = ("prerouting", "input", "output", "postrouting")


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule, or a jump to its chain, asks of a packet.

    `field` is `src`, `dst` (networks), `proto`, `sport`, `dport` (ranges), `iif` or `oif` (names;
    one that ends in `*` stands for all that begin so). Any of `values` will do; `inverted`: none.
    """

    field: str
    values: tuple[Network, ...] | tuple[str, ...]
    inverted: bool = False

    @property
    def pairs(self) -> tuple[Network, ...]:
        """The networks or ranges."""
        return tuple(value for value in self.values if not isinstance(value, str))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of devices."""
        return tuple(value for value in self.values if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class NatRule:
    """A rule that translates, as it was recorded.

    `host` and `netns` say whose it is, None where that is not known. `chains` leads from the base
    chain to its own; `conditions` holds those of the jumps, too. `to` and `to_ports` are what it
    translates to, empty and None where it does not say. `is_open`: it asks for more than packets
    show (marks, sets, states, chance), or its text does not say all.
    """

    hook: str
    chains: tuple[str, ...]
    action: str
    text: str
    conditions: tuple[Condition, ...] = ()
    to: tuple[Network, ...] = ()
    to_ports: Range | None = None
    is_open: bool = False
    host: str | None = None
    netns: str | None = None
    capture: str | None = None

    @property
    def way(self) -> str:
        """The chains from the base chain to the rule's own, joined by arrows."""
        return " → ".join(self.chains)

    @property
    def words(self) -> str:
        """The rule as it was recorded, and the chains that lead there."""
        return f"{self.text} ({self.way})" if len(self.chains) > 1 else self.text

    def at(self, host: str | None, netns: str | None, capture: str | None) -> "NatRule":
        """Return the same rule of a namespace, as read from a file."""
        return replace(self, host=host, netns=netns, capture=capture)
