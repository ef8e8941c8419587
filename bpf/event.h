/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The wire struct, once: one packet seen at one observation point. Numbers are in host order, IPv4
 * addresses mapped as ::ffff:a.b.c.d in (hi, lo), MACs in the low 48 bits, so that user space copies
 * columns and converts nothing. tracer/sources/live/event_layout.py is generated from this file's BTF. */
#ifndef TRACER_EVENT_H
#define TRACER_EVENT_H

enum event_constant { EVENT_VERSION = 4 };

/* Where in the kernel the packet was seen. */
enum event_hook {
	HOOK_RECEIVE = 1,	/* netif_receive_skb: ingress of a device, as tcpdump sees it */
	HOOK_XMIT = 2,		/* net_dev_start_xmit: egress of a device, as tcpdump sees it */
	HOOK_QUEUE = 3,		/* net_dev_queue: egress before the queueing discipline (optional) */
	HOOK_KFREE = 4,		/* kfree_skb: freed with drop_reason at location */
	HOOK_CONSUME = 5,	/* consume_skb: freed after use; the end of this buffer's lifetime */
	HOOK_ROUTE = 6,		/* fib_table_lookup, fib6_table_lookup: a routing decision (AUX_ROUTE) */
	HOOK_NAT = 7,		/* addresses were just rewritten at nat_hook, or will be (NAT_BEFORE) */
	HOOK_OVS_RECEIVE = 8,	/* ovs_vport_receive: entered the OVS datapath by this port */
	HOOK_OVS_PROCESS = 9,	/* ovs_dp_process_packet: looked up in the flow table */
	HOOK_OVS_UPCALL = 10,	/* ovs_dp_upcall: handed to user space; comes back as another skb */
	HOOK_OVS_SEND = 11,	/* ovs_vport_send: leaves the OVS datapath by this port */
	HOOK_UPPER_RECEIVE = 12,	/* ingress of a device that has the packet from another one (hooks/upper.h) */
};

/* What the record holds; a field whose flag is not set means nothing. */
enum event_flag {
	FLAG_ETH = 1 << 0,		/* src_mac, dst_mac */
	FLAG_VLAN = 1 << 1,		/* vlan */
	FLAG_VLAN_INNER = 1 << 2,	/* vlan_inner */
	FLAG_IP = 1 << 3,		/* src, dst, ttl, tos, ip_len, proto, frag */
	FLAG_L4 = 1 << 4,		/* sport, dport (TCP, UDP, SCTP) or icmp_type, icmp_code */
	FLAG_ECHO = 1 << 5,		/* icmp_id, icmp_seq */
	FLAG_TCP = 1 << 6,		/* tcp_seq, tcp_ack, tcp_flags, tcp_window */
	FLAG_TCP_TS = 1 << 7,		/* tcp_tsval, tcp_tsecr */
	FLAG_CT = 1 << 8,		/* ct and every ct_ field */
	FLAG_CT_REPLY = 1 << 9,		/* the packet travels in the entry's reply direction */
	FLAG_TUNNEL = 1 << 10,		/* every outer_ field, vni, encap; the rest is the inner packet */
	FLAG_DEV = 1 << 11,		/* ifindex, dev_name (netns is there whenever it is not 0) */
	FLAG_TRUNCATED = 1 << 12,	/* headers lie outside the readable part of the buffer */
	FLAG_CLONED = 1 << 13,		/* the data is shared with another skb */
	FLAG_REASON = 1 << 14,		/* drop_reason */
	FLAG_FRAGMENT = 1 << 15,	/* not the first fragment: no transport header */
	FLAG_UNTRACKED = 1 << 16,	/* conntrack was told not to track it (NOTRACK) */
	FLAG_IP_ID = 1 << 17,		/* ip_id: IPv4, or an IPv6 fragment */
	FLAG_GRE_KEY = 1 << 18,		/* vni (VXLAN and Geneve always have one) */
	FLAG_OUTER_ETH = 1 << 19,	/* outer_src_mac, outer_dst_mac */
	FLAG_OUTER_VLAN = 1 << 20,	/* outer_vlan */
	FLAG_INNER_L4 = 1 << 21,	/* inner_sport, inner_dport, inner_tcp_seq */
	FLAG_INNER_IP_ID = 1 << 22,	/* inner_ip_id: IPv4, or an IPv6 fragment */
	FLAG_MPLS = 1 << 23,		/* mpls_label */
	FLAG_CAME_BY = 1 << 24,		/* the device is the one it came in by: the buffer has none any more */
};

/* What the 48 bytes of aux hold. */
enum event_aux {
	AUX_NONE = 0,
	AUX_QUOTED = 1,	/* the packet an ICMP error quotes: inner_* */
	AUX_NAT = 2,	/* the tuple before the rewrite, of all but ICMP errors: before_* */
	AUX_ROUTE = 3,	/* route_* */
	AUX_ARP = 4,	/* arp_*; sender and target address are src and dst */
};

/* Names follow linux/netfilter.h (enum nf_inet_hooks); 0 would be PREROUTING, so shifted by one. */
enum event_nat_hook {
	NAT_PREROUTING = 1,
	NAT_INPUT = 2,
	NAT_FORWARD = 3,
	NAT_OUTPUT = 4,
	NAT_POSTROUTING = 5,
	NAT_BEFORE = 8,		/* added to one of these: what the packet was before NAT there */
};

/* How the rewrite was seen. */
enum event_nat_source {
	NAT_BY_NETFILTER_LINK = 1,	/* BPF netfilter programs just before and just after NAT */
	NAT_BY_KPROBE = 2,		/* entry and return of nf_nat_manip_pkt */
};

struct event {
	__u64 time_ns;		/* bpf_ktime_get_ns: CLOCK_MONOTONIC */
	__u64 skb;		/* address of struct sk_buff */
	__u64 head;		/* address of skb->head, which clones share */
	__u64 ct;		/* address of struct nf_conn */
	__u64 location;		/* code address that freed the packet (HOOK_KFREE, HOOK_CONSUME) */
	__u64 src_hi, src_lo, dst_hi, dst_lo;
	__u64 src_mac, dst_mac;
	__u64 dev_name_head, dev_name_tail;	/* the device's name now, as it lies in memory (FLAG_DEV) */
	__u64 ct_original_src_hi, ct_original_src_lo, ct_original_dst_hi, ct_original_dst_lo;
	__u64 ct_reply_src_hi, ct_reply_src_lo, ct_reply_dst_hi, ct_reply_dst_lo;
	union {
		struct {
			__u64 inner_src_hi, inner_src_lo, inner_dst_hi, inner_dst_lo;
			__u32 inner_tcp_seq, inner_ip_id;
			__u16 inner_sport, inner_dport;	/* of an echo its id and sequence number */
			__u8 inner_proto, inner_ttl;
		};
		struct {
			__u64 before_src_hi, before_src_lo, before_dst_hi, before_dst_lo;
			__u64 before_ns;	/* when it was that, if seen nowhere else yet; 0 otherwise */
			__u16 before_sport, before_dport, before_icmp_id;
		};
		struct {
			__u64 route_gateway_hi, route_gateway_lo;	/* 0, 0: no gateway */
			__u32 route_table;
			__s32 route_oif, route_iif, route_error;	/* route_error: 0 or -errno */
		};
		struct {
			__u64 arp_sender_mac, arp_target_mac;
			__u16 arp_op;
		};
	};
	__u64 outer_src_hi, outer_src_lo, outer_dst_hi, outer_dst_lo;
	__u64 outer_src_mac, outer_dst_mac;
	__u32 vni;
	__u16 outer_ip_id, outer_sport, outer_dport, outer_vlan;
	__u8 encap, outer_ttl, tunnels;	/* encap: tracer.core.enums.Encap */
	__u8 version;			/* EVENT_VERSION */
	__u32 flags;			/* enum event_flag */
	__u32 netns;			/* inode number of the namespace, 0 when unknown */
	__u32 ifindex;
	__u32 wire_len;			/* bytes, link header included where there is one */
	__u32 payload_len;		/* bytes after the transport header, by the IP length */
	__u32 ip_len;			/* IP total length in bytes (IPv6: payload length + 40) */
	__u32 mark;
	__u32 ct_status, ct_mark;
	__u32 drop_reason;
	__u32 flow_label;
	__u32 mpls_label, pad_word;	/* the outermost label */
	__u32 ip_id;
	__u32 tcp_seq, tcp_ack, tcp_tsval, tcp_tsecr;
	__u16 ct_zone;
	__u16 ct_original_sport, ct_original_dport, ct_reply_sport, ct_reply_dport;
	__u16 sport, dport;
	__u16 icmp_id, icmp_seq;
	__u16 tcp_flags, tcp_window;
	__u16 frag;			/* IPv4 flags and offset as in the header; IPv6 in the same form */
	__u16 ethertype, vlan, vlan_inner;
	__u16 gso_size;
	__u16 cpu;
	__u16 snap_len;			/* bytes that follow this struct (--snap) */
	__u8 hook, aux;
	__u8 ip_version, ttl, tos, proto;
	__u8 icmp_type, icmp_code;
	__u8 ct_proto;
	__u8 nat_hook, nat_source;	/* HOOK_NAT: enum event_nat_hook, enum event_nat_source */
	__u8 pad;
};

#endif
