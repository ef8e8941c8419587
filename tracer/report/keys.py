"""The keys of a journey's JSON, in their order. Keys are added, never renamed."""

SCHEMA = 1
JOURNEY_KEYS = (
    "journey", "flow", "proto", "kind", "first_ns", "last_ns", "outcome", "outcome_at", "reason",
    "reply",
    "request", "retransmission_of", "quotes", "ambiguous", "duplicates",
)  # fmt: skip
_SAME = (
    "n", "host", "netns", "device", "role", "direction", "hook", "time_ns", "delta_ns",
    "capture", "frame", "src_mac", "dst_mac", "vlan", "src", "dst", "sport", "dport",
    "icmp_type", "icmp_code", "icmp_id", "icmp_seq", "tcp_seq", "tcp_ack", "ttl", "ip_id",
)  # fmt: skip
_ADDED = (
    "tcp_flags", "payload_len", "frag_offset", "encap", "vni", "outer_src", "outer_dst",
    "arp_op", "arp_sender_ip", "arp_target_ip", "parent", "cause",
)  # fmt: skip
# Key of a hop: the column it is. After these come `changes` and `join`.
HOP_KEYS = {
    **{name: name for name in _SAME},
    "len": "ip_len",
    **{name: name for name in _ADDED},
}
