"""Why the kernel freed a packet, where it gives no reason, but where it did so says it.

No neighbour answered: ARP frees what waited for it as NEIGH_FAILED, neighbour discovery without a
reason (ndisc_error_report, which neigh_invalidate calls and does nothing else with packets; the
compiler may leave the first one out of the return address).

An XDP program said so: the kernel frees what it drops as XDP in some places only.

Not dropped at all: a packet that GRO, or reassembly, put into the list of another one is freed with
that one. Where TCP does so, which has copied its bytes, or segmentation, which has put them into
new buffers, no reason is given. (Kernels before 6.2 free a list of segments that is to be dropped
by the same function; where they give no reason for that, either, nothing tells.)

Larger than the MTU of the device that it should leave by: what IPv6 does not fragment for others,
ip6_fragment frees after it said so to the sender. (Without memory it frees packets there, too.)
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.sources.live.drop_reasons import drop_reason_number
from tracer.sources.live.event_layout import Hook

EventArray = NDArray[Any]
Names = tuple[str, ...]
Ranges = tuple[tuple[int, int], ...]
Number = Callable[[str], int | None]

KALLSYMS = Path("/proc/kallsyms")
_FREED_BY = {
    "NEIGH_FAILED": ("neigh_invalidate", "ndisc_error_report"),
    "PKT_TOO_BIG": ("ip6_fragment",),
    "SKB_NOT_DROPPED_YET": ("skb_release_data", "kfree_skb_list_reason", "kfree_skb_list"),
    "XDP": ("do_xdp_generic", "netif_receive_generic_xdp", "veth_xdp_rcv_skb"),
}
# What gcc puts behind the name of a function that it made into another; a module's has more.
_VARIANT = re.compile(rb"(?:\.(?:isra|constprop|part)\.\d+)*")
_LINES = 4096  # bytes, with the next function's line


def with_reasons(
    events: EventArray,
    ranges: Callable[[Names], Ranges] | None = None,
    number: Number | None = None,
) -> EventArray:
    """Return events with the reasons that are certain; the same array where there is none to add.

    `ranges` and `number` tell where the kernel's functions lie, and the numbers of its reasons, by
    name: those of the running kernel unless given.
    """
    number = number or drop_reason_number
    unsaid = number("NOT_SPECIFIED")
    freed = np.flatnonzero(events["hook"] == Hook.KFREE)
    if unsaid is None or not len(freed):
        return events
    freed = freed[events["drop_reason"][freed] == unsaid]
    if not len(freed):
        return events
    where, found = events["location"][freed], np.full(len(freed), unsaid)
    for reason, functions in _FREED_BY.items():
        if (said := number(reason)) is not None:
            for start, end in (ranges or function_ranges)(functions):
                found[(where > np.uint64(start)) & (where < np.uint64(end))] = said
    if (found == unsaid).all():
        return events
    events = events.copy()  # the caller's are as the kernel sent them
    events["drop_reason"][freed] = found
    return events


@cache
def function_ranges(names: Names, symbols: Path = KALLSYMS) -> Ranges:
    """Return (start, end) of the kernel's functions of these names; those of modules are left out.

    Empty where the kernel does not tell its addresses (kptr_restrict, no CAP_SYSLOG) or has none.
    Packets come by the thousand meanwhile: the 100,000 lines are searched, not taken apart.
    """
    try:
        text = symbols.read_bytes()
    except OSError:
        return ()
    found = (place for name in names for place in _ranges(text, name.encode()))
    return tuple(place for place in found if place[0])


def _ranges(text: bytes, name: bytes) -> Iterator[tuple[int, int]]:
    # Lines are `address type name`, by address; a function ends where the next one begins.
    at = text.find(b" " + name)
    while at >= 0:
        line_end = text.find(b"\n", at)
        if _VARIANT.fullmatch(text, at + 1 + len(name), line_end):
            start = int(text[text.rfind(b"\n", 0, at) + 1 : at].split()[0], 16)
            following = text[line_end + 1 : line_end + 1 + _LINES].splitlines()
            later = (int(line.split()[0], 16) for line in following if b" " in line)
            yield start, next((address for address in later if address > start), start)
        at = text.find(b" " + name, at + 1)
