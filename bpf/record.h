/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a view of a packet to a record in the ring. */
#ifndef TRACER_RECORD_H
#define TRACER_RECORD_H

/* Where a hook saw the packet, and what it knows beyond it. */
struct place {
	void *dev;		/* 0: unknown */
	void *net;		/* the namespace, where there is no device */
	__u64 location;
	__u32 hook, reason, flags;
};

ALWAYS void fill_l4(struct event *e, const struct view *v)
{
	__u64 l4[4] = {};	/* 32 bytes: a TCP header and its timestamp option */
	__u32 header = 8, l3_size = v->l4 - v->l3;

	if (v->later_fragment) {
		e->flags |= FLAG_FRAGMENT;
		e->payload_len = e->ip_len - l3_size;
		return;
	}
	if (v->ethertype == ETH_IP && l3_size == 20) {
		for (int i = 0; i < 4; i++)
			l4[i] = v->bytes[2 + i] >> 32 | v->bytes[3 + i] << 32;
		if (v->l4 >= v->tail)
			e->flags |= FLAG_TRUNCATED;
	} else if (read_at(v, l4, sizeof(l4), v->l4)) {
		e->flags |= FLAG_TRUNCATED;
	}
	if (e->flags & FLAG_TRUNCATED)
		return;
	if (v->proto == IP_ICMP || v->proto == IP_ICMPV6) {
		e->flags |= FLAG_L4;
		e->icmp_type = l4[0] & 0xff;
		e->icmp_code = l4[0] >> 8 & 0xff;
		if (is_echo(v->proto, e->icmp_type)) {
			e->flags |= FLAG_ECHO;
			e->icmp_id = bpf_ntohs_((__u16)(l4[0] >> 32));
			e->icmp_seq = bpf_ntohs_((__u16)(l4[0] >> 48));
		}
	} else if (v->proto == IP_TCP || v->proto == IP_UDP || v->proto == IP_SCTP) {
		e->flags |= FLAG_L4;
		e->sport = bpf_ntohs_((__u16)l4[0]);
		e->dport = bpf_ntohs_((__u16)(l4[0] >> 16));
		if (v->proto == IP_SCTP)
			header = 12;
	} else {
		header = 0;
	}
	if (v->proto == IP_TCP) {
		__u16 control = bpf_ntohs_((__u16)(l4[1] >> 32));

		e->flags |= FLAG_TCP;
		e->tcp_seq = bpf_ntohl_((__u32)(l4[0] >> 32));
		e->tcp_ack = bpf_ntohl_((__u32)l4[1]);
		e->tcp_flags = control & 0xfff;
		e->tcp_window = bpf_ntohs_((__u16)(l4[1] >> 48));
		header = (control >> 12) * 4;
		/* Linux writes NOP, NOP, timestamp first on all but SYN, where it is MSS, SACK, timestamp. */
		if (header >= 32 && (__u32)(l4[2] >> 32) == 0x0a080101) {
			e->flags |= FLAG_TCP_TS;
			e->tcp_tsval = bpf_ntohl_((__u32)l4[3]);
			e->tcp_tsecr = bpf_ntohl_((__u32)(l4[3] >> 32));
		}
	}
	if (e->ip_len > l3_size + header)
		e->payload_len = e->ip_len - l3_size - header;
}

SLOW int fill_quoted(struct event *e, const struct view *v)
{
	__u64 first = 0;
	__u32 l3 = v->l4 + 8, size = 40;
	__u64 bytes[3] = {};

	if (read_at(v, bytes, sizeof(bytes), l3))
		return 0;
	e->aux = AUX_QUOTED;
	e->inner_src_hi = v->key.src_hi;
	e->inner_src_lo = v->key.src_lo;
	e->inner_dst_hi = v->key.dst_hi;
	e->inner_dst_lo = v->key.dst_lo;
	e->inner_proto = v->key.proto;
	if (v->proto == IP_ICMP) {
		size = (bytes[0] & 0xf) * 4;
		e->inner_ip_id = bpf_ntohs_((__u16)(bytes[0] >> 32));
		e->inner_ttl = bytes[1] & 0xff;
	} else {
		e->inner_ttl = bytes[0] >> 56;
	}
	if (read_at(v, &first, sizeof(first), l3 + size))
		return 0;
	if (e->inner_proto == IP_ICMP || e->inner_proto == IP_ICMPV6) {
		e->inner_icmp_id = bpf_ntohs_((__u16)(first >> 32));
		e->inner_icmp_seq = bpf_ntohs_((__u16)(first >> 48));
	} else {
		e->inner_sport = v->key.sport;
		e->inner_dport = v->key.dport;
		e->inner_tcp_seq = bpf_ntohl_((__u32)(first >> 32));
	}
	return 0;
}

ALWAYS void fill_l3(struct event *e, const struct view *v)
{
	const __u64 *w = v->bytes;

	e->flags |= FLAG_IP;
	e->ip_id = v->ip_id;
	e->frag = v->frag;
	e->proto = v->proto;
	if (v->ethertype == ETH_IP) {
		e->ip_version = 4;
		e->flags |= FLAG_IP_ID;
		e->src_lo = V4_PREFIX | bpf_ntohl_((__u32)(w[1] >> 32));
		e->dst_lo = V4_PREFIX | bpf_ntohl_((__u32)w[2]);
		e->tos = w[0] >> 8;
		e->ip_len = bpf_ntohs_((__u16)(w[0] >> 16));
		e->ttl = w[1] & 0xff;
		return;
	}
	e->ip_version = 6;
	if (v->frag)
		e->flags |= FLAG_IP_ID;
	e->src_hi = bpf_ntohll_(w[1]);
	e->src_lo = bpf_ntohll_(w[2]);
	e->dst_hi = bpf_ntohll_(w[3]);
	e->dst_lo = bpf_ntohll_(w[4]);
	e->flow_label = bpf_ntohl_((__u32)w[0]) & 0xfffff;
	e->tos = bpf_ntohl_((__u32)w[0]) >> 20 & 0xff;
	e->ip_len = 40 + bpf_ntohs_((__u16)(w[0] >> 32));
	e->ttl = w[0] >> 56;
}

ALWAYS void fill_arp(struct event *e, const struct view *v)
{
	const __u64 *w = v->bytes;

	e->aux = AUX_ARP;
	e->src_lo = v->key.src_lo;
	e->dst_lo = v->key.dst_lo;
	e->arp_op = bpf_ntohs_((__u16)(w[0] >> 48));
	/* Sender MAC at byte 8, target MAC at byte 18: the low six bytes of w[1], the high six of w[2]. */
	e->arp_sender_mac = bpf_ntohll_(w[1]) >> 16;
	e->arp_target_mac = bpf_ntohll_(w[2]) & 0xffffffffffffULL;
}

SLOW int fill_tunnel(struct event *e, const struct view *v)
{
	__u64 w[5];

	if (read_at(v, w, sizeof(w), v->outer_l3))
		return 0;
	e->flags |= FLAG_TUNNEL;
	e->encap = v->encap;
	e->tunnels = 1;
	e->vni = v->vni;
	if (v->has_key)
		e->flags |= FLAG_GRE_KEY;
	if (v->outer_version == 4) {
		e->outer_src_lo = V4_PREFIX | bpf_ntohl_((__u32)(w[1] >> 32));
		e->outer_dst_lo = V4_PREFIX | bpf_ntohl_((__u32)w[2]);
		e->outer_ip_id = bpf_ntohs_((__u16)(w[0] >> 32));
		e->outer_ttl = w[1] & 0xff;
	} else {
		e->outer_src_hi = bpf_ntohll_(w[1]);
		e->outer_src_lo = bpf_ntohll_(w[2]);
		e->outer_dst_hi = bpf_ntohll_(w[3]);
		e->outer_dst_lo = bpf_ntohll_(w[4]);
		e->outer_ttl = w[0] >> 56;
	}
	if (v->outer_port) {
		__u16 ports[2];

		if (!read_at(v, ports, sizeof(ports), v->outer_port)) {
			e->outer_sport = bpf_ntohs_(ports[0]);
			e->outer_dport = bpf_ntohs_(ports[1]);
		}
	}
	return 0;
}

/* VLAN ids: the tag the driver took off the data, then those still in it. */
ALWAYS void fill_vlan(struct event *e, const struct view *v, void *skb, __u32 l3, __u32 mac, const int direct)
{
	__u16 proto = 0, tci = 0, tag[4] __attribute__((aligned(8))) = {};
	int present;

	LOAD(direct, proto, skb, skb_vlan_proto);
	if (HAS(skb_vlan_present))
		present = LOAD_BIT(skb, skb_vlan_present);
	else
		present = proto != 0;
	if (present) {
		LOAD(direct, tci, skb, skb_vlan_tci);
		e->flags |= FLAG_VLAN;
		e->vlan = tci & 0xfff;
	}
	if (l3 - mac != 18 && l3 - mac != 22)
		return;
	if (read_at(v, tag, sizeof(tag), mac + 14))
		return;
	tci = bpf_ntohs_(tag[0]) & 0xfff;
	if (present) {
		e->flags |= FLAG_VLAN_INNER;
		e->vlan_inner = tci;
		return;
	}
	e->flags |= FLAG_VLAN;
	e->vlan = tci;
	if (l3 - mac == 22) {
		e->flags |= FLAG_VLAN_INNER;
		e->vlan_inner = bpf_ntohs_(tag[2]) & 0xfff;
	}
}

ALWAYS void fill_macs(struct event *e, const struct view *v, __u32 mac, const int outer)
{
	__u64 frame[2], dst, src;

	if (read_at(v, frame, sizeof(frame), mac))
		return;
	dst = bpf_ntohll_(frame[0]) >> 16;
	src = bpf_ntohll_(frame[0] >> 32 | frame[1] << 32) & 0xffffffffffffULL;
	if (outer) {
		e->flags |= FLAG_OUTER_ETH;
		e->outer_dst_mac = dst;
		e->outer_src_mac = src;
	} else {
		e->flags |= FLAG_ETH;
		e->dst_mac = dst;
		e->src_mac = src;
	}
}

/* In a tunnel the frame's own link header is the outer one; the inner Ethernet header, if there is one,
 * lies just before the inner network header. */
ALWAYS void fill_link(struct event *e, const struct view *v, void *skb, const int direct)
{
	__u32 l3 = v->outer_l3 ? v->outer_l3 : v->l3;
	__u16 mac;

	LOAD(direct, mac, skb, skb_mac_header);
	if (mac == NO_HEADER || mac + 14 > l3 || l3 - mac > 26)
		return;
	fill_vlan(e, v, skb, l3, mac, direct);
	if (!v->outer_l3) {
		fill_macs(e, v, mac, 0);
		return;
	}
	fill_macs(e, v, mac, 1);
	if (e->flags & FLAG_VLAN) {
		e->flags = (e->flags & ~(FLAG_VLAN | FLAG_VLAN_INNER)) | FLAG_OUTER_VLAN;
		e->outer_vlan = e->vlan;
	}
}

ALWAYS void fill_inner_link(struct event *e, const struct view *v)
{
	if (v->outer_l3 && v->encap != ENCAP_IPIP && v->encap != ENCAP_SIT && v->encap != ENCAP_IP6TNL &&
	    v->l3 > v->outer_l3 + 42)
		fill_macs(e, v, v->l3 - 14, 0);
}

ALWAYS void fill_device(struct event *e, void *dev, const int direct)
{
	void *net = 0;
	__u32 ifindex = 0, inum = 0;

	if (!dev)
		return;
	LOAD(direct, ifindex, dev, dev_ifindex);
	LOAD(direct, net, dev, dev_net);
	if (net)
		LOAD(direct, inum, net, net_inum);
	/* skb->dev shares its bytes with queue links: only a real namespace makes it a device. */
	if (inum < FIRST_NETNS_INUM)
		return;
	e->netns = inum;
	e->ifindex = ifindex;
	e->flags |= FLAG_DEV;
}

ALWAYS void fill_netns(struct event *e, void *net, const int direct)
{
	__u32 inum = 0;

	if (net)
		LOAD(direct, inum, net, net_inum);
	if (inum >= FIRST_NETNS_INUM)
		e->netns = inum;
}

ALWAYS void ct_port(const struct wire_tuple *t, __u16 *sport, __u16 *dport)
{
	*sport = bpf_ntohs_(t->src_port);
	*dport = t->proto == IP_ICMP || t->proto == IP_ICMPV6 ? *sport : bpf_ntohs_(t->dst_port);
}

ALWAYS void ct_address(const __be32 *a, __u16 family, __u64 *hi, __u64 *lo)
{
	if (family == 2) {
		*hi = 0;
		*lo = V4_PREFIX | bpf_ntohl_(a[0]);
	} else {
		*hi = (__u64)bpf_ntohl_(a[0]) << 32 | bpf_ntohl_(a[1]);
		*lo = (__u64)bpf_ntohl_(a[2]) << 32 | bpf_ntohl_(a[3]);
	}
}

/* The key of packets that travel as this tuple says. */
ALWAYS void tuple_key(const struct wire_tuple *t, struct flow_key *key)
{
	ct_address(t->src, t->family, &key->src_hi, &key->src_lo);
	ct_address(t->dst, t->family, &key->dst_hi, &key->dst_lo);
	ct_port(t, &key->sport, &key->dport);
	key->proto = t->proto;
	key->kind = KEY_FLOW;
	key->pad = 0;
}

ALWAYS int read_tuple(__u64 ct, const __u32 which, struct wire_tuple *tuple)
{
	const void *hashes = ADDRESS(ct, ct_tuplehash);

	return read_words((__u64 *)tuple + 2, hashes + which * sizeof(*tuple) + 16, 5);
}

ALWAYS void fill_ct(struct event *e, void *skb, const int direct)
{
	struct wire_tuple t;
	unsigned long nfct = 0, status = 0;
	void *ct;

	LOAD(direct, nfct, skb, skb_nfct);
	if ((nfct & NFCT_INFOMASK) == IP_CT_UNTRACKED) {
		e->flags |= FLAG_UNTRACKED;
		return;
	}
	ct = (void *)(nfct & NFCT_PTRMASK);
	if (!ct || read_tuple((unsigned long)ct, 0, &t))
		return;
	e->flags |= (nfct & NFCT_INFOMASK) >= IP_CT_IS_REPLY ? FLAG_CT | FLAG_CT_REPLY : FLAG_CT;
	e->ct = (unsigned long)ct;
	LOAD(0, status, ct, ct_status);
	e->ct_status = status;
	if (HAS(ct_mark))
		LOAD(0, e->ct_mark, ct, ct_mark);
	if (HAS(ct_zone))
		LOAD(0, e->ct_zone, ct, ct_zone);
	e->ct_proto = t.proto;
	ct_address(t.src, t.family, &e->ct_original_src_hi, &e->ct_original_src_lo);
	ct_address(t.dst, t.family, &e->ct_original_dst_hi, &e->ct_original_dst_lo);
	ct_port(&t, &e->ct_original_sport, &e->ct_original_dport);
	if (read_tuple((unsigned long)ct, 1, &t))
		return;
	ct_address(t.src, t.family, &e->ct_reply_src_hi, &e->ct_reply_src_lo);
	ct_address(t.dst, t.family, &e->ct_reply_dst_hi, &e->ct_reply_dst_lo);
	ct_port(&t, &e->ct_reply_sport, &e->ct_reply_dport);
}

ALWAYS void fill_lengths(struct event *e, const struct view *v, void *skb, const int direct)
{
	unsigned int end = 0, len = 0;
	__u64 shinfo;
	__u16 mac;
	void *data = 0;

	LOAD(direct, len, skb, skb_len);
	LOAD(direct, data, skb, skb_data);
	LOAD(direct, mac, skb, skb_mac_header);
	LOAD(direct, end, skb, skb_end);
	/* skb->len counts from skb->data; count from the link header, or the network header, instead. */
	e->wire_len = len + (__u32)((__u64)(unsigned long)data - v->head);
	if (mac != NO_HEADER && mac + 14 <= v->l3 && (v->outer_l3 || v->l3 - mac <= 26))
		e->wire_len -= mac;
	else
		e->wire_len -= v->outer_l3 ? v->outer_l3 : v->l3;
	shinfo = v->head + end;
	LOAD(0, e->gso_size, shinfo, shinfo_gso_size);
}

ALWAYS void fill_snap(struct event *e, const struct view *v, void *skb, const int direct)
{
	__u32 from = v->outer_l3 ? v->outer_l3 : v->l3;
	__u64 size;
	__u16 mac;

	LOAD(direct, mac, skb, skb_mac_header);
	if (mac != NO_HEADER && mac + 14 <= from && from - mac <= 26)
		from = mac;
	if (from >= v->tail)
		return;
	size = (v->tail - from) & 0xffff;
	asm volatile("" : "+r"(size)); /* keeps the bound, which the verifier wants to see */
	if (size > opt_snap)
		size = opt_snap;
	if (!bpf_probe_read_kernel(e + 1, size, (void *)(unsigned long)(v->head + from)))
		e->snap_len = size;
}

/* Reserves one record and fills it from the view; the caller adds to it and calls finish(). Returns 0
 * when the ring is full. */
ALWAYS struct event *begin(const struct view *v, void *skb, const struct place *at,
			   struct cpu *cpu, const int direct)
{
	struct event *e = RESERVE(events, sizeof(struct event) + opt_snap);

	if (!e) {
		cpu->count.ring_full++;
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = bpf_ktime_get_ns();
	e->version = EVENT_VERSION;
	e->hook = at->hook;
	e->location = at->location;
	e->drop_reason = at->reason;
	e->flags = at->flags;
	e->skb = (unsigned long)skb;
	e->head = v->head;
	e->cpu = bpf_get_smp_processor_id();
	e->ethertype = v->ethertype;
	LOAD(direct, e->mark, skb, skb_mark);
	if (LOAD_BIT(skb, skb_cloned))
		e->flags |= FLAG_CLONED;
	fill_device(e, at->dev, direct);
	if (!e->netns)
		fill_netns(e, at->net, direct);
	fill_lengths(e, v, skb, direct);
	fill_link(e, v, skb, direct);
	if (v->ethertype == ETH_ARP) {
		fill_arp(e, v);
	} else {
		fill_l3(e, v);
		fill_l4(e, v);
		fill_ct(e, skb, direct);
		if (v->error)
			fill_quoted(e, v);
	}
	if (v->outer_l3) {
		fill_inner_link(e, v);
		fill_tunnel(e, v);
	}
	if (opt_snap)
		fill_snap(e, v, skb, direct);
	return e;
}

ALWAYS void finish(struct event *e, struct cpu *cpu)
{
	SUBMIT(e);
	cpu->count.sent++;
}

#endif
