"""Whether a network namespace has devices that have their packets from others in silence.

What comes in by one device and becomes that of another one on top of it passes no tracepoint there.
"""

import struct

from tracer.sources.live.nat_rules import dump_says

_NETLINK_ROUTE, _GET_LINK, _REQUEST_DUMP = 0, 18, 0x301
_INFO_KIND = 1  # IFLA_INFO_KIND
_KINDS = ("vlan", "macvlan", "macvtap", "team")  # IFF_UPPER of bpf/kernel.h
_WORDS = tuple(struct.pack("<HH", len(kind) + 5, _INFO_KIND) + kind.encode() for kind in _KINDS)


def has_upper() -> bool:
    """Return whether this thread's network namespace has some; True where nobody can say."""
    # struct nlmsghdr, and struct ifinfomsg with nothing in it: all links.
    message = struct.pack("<IHHII16x", 32, _GET_LINK, _REQUEST_DUMP, 1, 0)
    try:
        return dump_says(_NETLINK_ROUTE, message, tuple(word + b"\0" for word in _WORDS))
    except OSError:
        return True
