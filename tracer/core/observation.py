"""One observation as a value: a packet seen at an observation point, for what is shown."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Observation:
    """One packet at one observation point; its fields are the public columns, in public order.

    Addresses, MACs, digests and enums are text as shown; None is unknown. `core.schema` says what
    each means; `host` to `clock` are the point's and `capture` is the file's or engine's name.
    """

    # where and when
    host: str | None = None
    netns: str | None = None
    device: str | None = None
    direction: str | None = None
    hook: str | None = None
    time_ns: int | None = None
    clock: str | None = None
    # provenance
    capture: str | None = None
    frame: int | None = None
    decode: str | None = None
    # link
    src_mac: str | None = None
    dst_mac: str | None = None
    ethertype: int | None = None
    vlan: int | None = None
    vlan_inner: int | None = None
    mpls_label: int | None = None
    # outermost tunnel
    encap: str | None = None
    tunnels: int | None = None
    vni: int | None = None
    outer_src: str | None = None
    outer_dst: str | None = None
    outer_sport: int | None = None
    outer_dport: int | None = None
    outer_ttl: int | None = None
    outer_ip_id: int | None = None
    outer_src_mac: str | None = None
    outer_dst_mac: str | None = None
    outer_vlan: int | None = None
    # network
    ip_version: int | None = None
    src: str | None = None
    dst: str | None = None
    ttl: int | None = None
    ip_id: int | None = None
    df: bool | None = None
    frag_offset: int | None = None
    more_fragments: bool | None = None
    tos: int | None = None
    ip_len: int | None = None
    flow_label: int | None = None
    # transport
    proto: int | None = None
    sport: int | None = None
    dport: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    icmp_seq: int | None = None
    tcp_seq: int | None = None
    tcp_ack: int | None = None
    tcp_flags: int | None = None
    tcp_window: int | None = None
    tcp_tsval: int | None = None
    tcp_tsecr: int | None = None
    payload_len: int | None = None
    payload_digest: str | None = None
    # ARP
    arp_op: int | None = None
    arp_sender_ip: str | None = None
    arp_sender_mac: str | None = None
    arp_target_ip: str | None = None
    arp_target_mac: str | None = None
    # packet quoted by an ICMP error
    inner_src: str | None = None
    inner_dst: str | None = None
    inner_proto: int | None = None
    inner_sport: int | None = None
    inner_dport: int | None = None
    inner_icmp_id: int | None = None
    inner_icmp_seq: int | None = None
    inner_tcp_seq: int | None = None
    inner_ip_id: int | None = None
    inner_ttl: int | None = None
    # kernel, where seen
    skb: str | None = None
    ifindex: int | None = None
    cpu: int | None = None
    mark: int | None = None
    ct_original_src: str | None = None
    ct_original_dst: str | None = None
    ct_original_sport: int | None = None
    ct_original_dport: int | None = None
    ct_reply_src: str | None = None
    ct_reply_dst: str | None = None
    ct_reply_sport: int | None = None
    ct_reply_dport: int | None = None
    ct_status: int | None = None
    ct_zone: int | None = None
    drop_reason: int | None = None
    drop_location: str | None = None
    route_table: int | None = None
    route_gateway: str | None = None
    route_oif: int | None = None
    route_error: int | None = None
    # lengths
    cap_len: int | None = None
    wire_len: int | None = None
    gso_size: int | None = None
    # new ones come at the end of tables
    tcp_sack: str | None = None
    inner_payload_digest: str | None = None
    skb_use: int | None = None


OBSERVATION_FIELDS: tuple[str, ...] = tuple(column.name for column in fields(Observation))
PLACE_FIELDS = ("host", "netns", "device", "direction", "hook", "clock")  # of the point, not stored
