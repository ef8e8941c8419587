"""Whether captures were taken apart from each other, so that no two of them share a packet."""

from typing import Any

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.mixing import mixed

_UNDATED_NS = 366 * 86_400 * 1_000_000_000  # stamps in 1970 are times of day without a date
_SAME_MOMENT_NS = 5_000_000_000
_LASTING = ("proto", "icmp_type", "ip_id", "icmp_seq", "tcp_seq", "tcp_ack", "payload_len",
            "payload_digest")  # fmt: skip


def needs_flow_paths(batch: ObservationBatch) -> bool:
    """Return whether journeys cannot be made because no two captures share a packet.

    That is: captures at two or more points, none of which overlap in time (stamps without a date
    prove no overlap), and no packet that survives forwarding and NAT alike in two.
    """
    packets = batch.packets
    if len(packets) == 0 or np.all(packets["point"] == packets["point"][0]):
        return False
    known = packets["time_ns"] >= 0
    is_dated = bool(np.any(packets["time_ns"] > _UNDATED_NS))
    # One transcript may hold several captures, one a point.
    place = packets["capture"].astype(np.int64) * (len(batch.points) + 1) + packets["point"] + 1
    if is_dated and _overlaps(place[known], packets["time_ns"][known]):
        return False
    return not _shares_packets(packets)


def _overlaps(place: Any, times: Any) -> bool:
    count = int(place.max()) + 1
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, -1, np.int64)
    np.minimum.at(first, place, times)
    np.maximum.at(last, place, times)
    order = np.argsort(first[last >= 0])
    first, last = first[last >= 0][order], last[last >= 0][order]
    return bool(np.any(first[1:] <= np.maximum.accumulate(last)[:-1]))


# Equal in all that forwarding and NAT leave alone, in two captures at two points.
def _shares_packets(packets: Any) -> bool:
    telling = (packets["ip_id"] > 0) | (packets["payload_digest"] != 0)
    telling |= (packets["icmp_seq"] >= 0) | (packets["tcp_seq"] >= 0)
    rows = np.flatnonzero(telling)
    keys = np.zeros(len(rows), np.uint64)
    for name in _LASTING:
        keys = mixed(keys, packets[name][rows])
    order = np.argsort(keys, kind="stable")
    same = np.diff(keys[order]) == 0
    one, other = rows[order][:-1][same], rows[order][1:][same]
    elsewhere = packets["point"][one] != packets["point"][other]
    # Without an IP id, only what was seen at about the same time is the same packet.
    apart = np.abs(packets["time_ns"][one] - packets["time_ns"][other])
    is_strong = (packets["ip_id"][one] > 0) & (packets["payload_len"][one] >= 0)
    shared = int(np.count_nonzero(elsewhere & (is_strong | (apart <= _SAME_MOMENT_NS))))
    return shared * 1000 >= max(len(packets), 1)
