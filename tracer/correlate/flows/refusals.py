"""Which reset answers which packet of a connection that a kernel's own rules refused.

netfilter (REJECT with a reset) answers what acknowledges something with that number as its own, and
acknowledges nothing (`nf_reject_ip_tcphdr_put`; RFC 9293, 3.10.7.1); then it frees the packet.
"""

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind
from tracer.core.mixing import mixed
from tracer.core.schema import StructuredArray
from tracer.correlate.flows.errors_quoted import LATE_NS
from tracer.correlate.hashing import Codes
from tracer.correlate.packets.identity import Identity

FILTERED = "NETFILTER_DROP"
_SEED = np.uint64(0x2545F4914F6CDD1D)
_ACK = 0x10
_ENDS = (
    ("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("dst_hi", "src_hi"), ("dst_lo", "src_lo"),
    ("sport", "dport"), ("dport", "sport"),
)  # fmt: skip


def note_refusals(
    batch: ObservationBatch, identity: Identity, journeys: StructuredArray, first: Codes,
    dropped: tuple[Codes, Codes], time: Codes,
) -> None:  # fmt: skip
    """Set `reply` and `request` in place of packets that were refused so, and of those resets.

    `first`: first row of each journey; `dropped`: journeys and the rows where the kernel freed
    them; `time`: of each row. It is the last such reset before the packet was freed that begins in
    that namespace, from where the packet was going to where it came from.
    """
    packets = batch.packets
    named = batch.labels.get("drop_reason", {}).items()
    codes = [code for code, name in named if name == FILTERED]
    kernel = batch.sections["kernel"]
    refused, rows = dropped
    wanted = np.isin(kernel["drop_reason"][np.searchsorted(kernel["row"], rows)], codes)
    wanted &= (packets["tcp_flags"][rows] & _ACK > 0) & (packets["tcp_flags"][rows] >= 0)
    wanted &= journeys["reply"][refused] < 0
    refused, rows = refused[wanted], rows[wanted]
    if not len(refused):
        return
    resets = np.flatnonzero((journeys["kind"] == Kind.TCP_RST) & (journeys["request"] < 0))
    resets = resets[packets["tcp_flags"][first[resets]] & _ACK == 0]
    both, at = np.concatenate([resets, refused]), np.concatenate([first[resets], rows])
    is_refused = np.arange(len(both)) >= len(resets)
    number = np.where(is_refused, packets["tcp_ack"][at], packets["tcp_seq"][at])
    key = mixed(mixed(np.full(len(both), _SEED), number), identity.netns[at])
    for field, back in _ENDS:
        key = mixed(key, np.where(is_refused, packets[back][at], packets[field][at]))
    order = np.lexsort((is_refused, time[at], key))
    # The last reset before each of them.
    before = np.maximum.accumulate(np.where(is_refused[order], -1, np.arange(len(order))))
    reset, packet = order[np.maximum(before, 0)], order
    near = is_refused[packet] & (before >= 0) & (key[reset] == key[packet])
    near &= time[at[packet]] - time[at[reset]] <= LATE_NS
    reset, once = np.unique(reset[near], return_index=True)
    packet = packet[near][once]
    journeys["reply"][both[packet]], journeys["request"][both[reset]] = both[reset], both[packet]
