"""The columns from which headers are rebuilt, as values of one packet."""

from collections.abc import Iterator

from tracer.core.batch import ObservationBatch
from tracer.core.rows import Rows, nulls, values_at
from tracer.core.schema import BY_NAME

NAMES = (
    "src", "dst", "src_mac", "dst_mac", "ethertype", "vlan", "vlan_inner", "mpls_label",
    "ip_version", "ttl", "ip_id", "df", "frag_offset", "more_fragments", "tos", "ip_len",
    "flow_label", "proto", "sport", "dport", "icmp_type", "icmp_code", "icmp_id", "icmp_seq",
    "tcp_seq", "tcp_ack", "tcp_flags", "tcp_window", "tcp_tsval", "tcp_tsecr", "payload_len",
    "wire_len", "encap", "vni", "outer_src", "outer_dst", "outer_src_mac", "outer_dst_mac",
    "outer_ip_id", "outer_sport", "outer_dport", "outer_ttl", "outer_vlan",
    "arp_op", "arp_sender_mac", "arp_target_mac", "arp_sender_ip", "arp_target_ip",
    "inner_src", "inner_dst", "inner_ip_id", "inner_tcp_seq", "inner_sport", "inner_dport",
    "inner_icmp_id", "inner_icmp_seq", "inner_proto", "inner_ttl",
)  # fmt: skip


class Values(dict[str, int]):
    """Columns of one packet that are known: numbers, MACs, addresses as 128-bit numbers.

    Those that a header needs and nobody knows are 0 there; `unknown` names them.
    """

    def __init__(self, known: dict[str, int]) -> None:
        super().__init__(known)
        self.unknown: dict[str, None] = {}

    def need(self, name: str, *, told: bool = True) -> int:
        """Return a value, 0 where it is not known, which is noted unless `told` is False."""
        if name not in self and told:
            self.unknown[name] = None
        return self.get(name, 0)


def values_of(batch: ObservationBatch, rows: Rows) -> Iterator[Values]:
    """Yield the values of the packets at the rows, in that order."""
    columns = []
    for name in NAMES:
        column, stored = BY_NAME[name], values_at(batch, name, rows)
        missing = nulls(column, stored).tolist()
        if column.kind == "ip":
            pairs = zip(stored[0].tolist(), stored[1].tolist(), strict=True)
            numbers = [hi << 64 | lo for hi, lo in pairs]
        else:
            numbers = stored[0].tolist()
        columns.append([None if n else v for n, v in zip(missing, numbers, strict=True)])
    for row in zip(*columns, strict=True):
        yield Values({n: v for n, v in zip(NAMES, row, strict=True) if v is not None})
