"""Names of drop reasons, from the running kernel's BTF (enum skb_drop_reason)."""

from functools import cache

from tracer.core.errors import HostError
from tracer.sources.live import btf

_PREFIX = "SKB_DROP_REASON_"
# include/net/dropreason.h: bits 16 and up say whose reason it is; 0 is the core's.
_SUBSYSTEM_ENUMS = {
    1: ("mac80211_drop_reason", "RX_DROP_U_"),
    3: ("ovs_drop_reason", "OVS_DROP_"),
}
_HIGH_BITS = 16


@cache
def _names(enum: str, prefix: str) -> dict[int, str]:
    try:
        values = btf.kernel().enum_values(enum)
    except (KeyError, HostError):
        return {}
    return {value: name.removeprefix(prefix) for name, value in values.items()}


def drop_reason_name(reason: int) -> str:
    """Return a drop reason's name without its prefix (`NETFILTER_DROP`), or its number as text."""
    subsystem = reason >> _HIGH_BITS
    if not subsystem:
        return _names("skb_drop_reason", _PREFIX).get(reason, str(reason))
    enum, prefix = _SUBSYSTEM_ENUMS.get(subsystem, ("", ""))
    return _names(enum, prefix).get(reason, str(reason)) if enum else str(reason)


def drop_reason_number(name: str) -> int | None:
    """Return the number of one of the core's reasons by its name without prefix, None without."""
    numbers = (n for n, word in _names("skb_drop_reason", _PREFIX).items() if word == name)
    return next(numbers, None)
