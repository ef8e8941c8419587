/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* IPv4, IPv6 and ARP: from the network header to the key of the flow. */
#ifndef TRACER_PACKET_NETWORK_H
#define TRACER_PACKET_NETWORK_H

ALWAYS int read_v4(struct view *v)
{
	__u64 first = v->bytes[2] >> 32 | v->bytes[3] << 32;
	__u32 ihl = (v->bytes[0] & 0xf) * 4;

	key_v4(&v->key, v->bytes[1] >> 32, (__u32)v->bytes[2]);
	v->proto = v->bytes[1] >> 8 & 0xff;
	v->ip_id = bpf_ntohs_((__u16)(v->bytes[0] >> 32));
	v->frag = bpf_ntohs_((__u16)(v->bytes[0] >> 48));
	v->l4 = v->l3 + ihl;
	v->key.proto = v->proto;
	if (!(opt_protocols >> (v->proto & 63) & 1))
		return -1;
	if (v->frag & 0x1fff)
		return 0;
	if (ihl != 20 && read_at(v, &first, sizeof(first), v->l4))
		return -1;
	key_l4(v, first);
	return 0;
}

ALWAYS int read_v6(struct view *v)
{
	__u64 first = v->bytes[5];

	v->key.src_hi = bpf_ntohll_(v->bytes[1]);
	v->key.src_lo = bpf_ntohll_(v->bytes[2]);
	v->key.dst_hi = bpf_ntohll_(v->bytes[3]);
	v->key.dst_lo = bpf_ntohll_(v->bytes[4]);
	v->proto = v->bytes[0] >> 48 & 0xff;
	v->l4 = v->l3 + 40;
	if (v->proto != IP_TCP && v->proto != IP_UDP && v->proto != IP_ICMPV6) {
		if (skip_extensions(v))
			return -1;
		if (read_at(v, &first, sizeof(first), v->l4))
			first = 0;
	}
	v->key.proto = v->proto;
	if (!(opt_protocols >> (v->proto & 63) & 1))
		return -1;
	if (v->frag & 0x1fff)
		return 0;
	key_l4(v, first);
	return 0;
}

ALWAYS void read_arp(struct view *v)
{
	/* Sender MAC at 8, sender IP at 14, target MAC at 18, target IP at 24. */
	__u32 sender = (__u32)(v->bytes[1] >> 48) | (__u32)(v->bytes[2] & 0xffff) << 16;

	key_v4(&v->key, sender, (__u32)v->bytes[3]);
	v->key.kind = KEY_ARP;
	v->key.sport = v->key.dport = 0;
	v->key.proto = 0;
}

/* Reads the network header at v->l3. Returns 0 when v->key is filled. */
ALWAYS int read_l3(struct view *v)
{
	v->frag = v->ip_id = v->signature = 0;
	v->error = v->later_fragment = v->icmp_type = 0;
	v->key.kind = KEY_FLOW;
	v->key.pad = 0;
	if (read_at(v, v->bytes, sizeof(v->bytes), v->l3))
		return -1;
	if (v->ethertype == ETH_IP) {
		if (read_v4(v))
			return -1;
	} else if (v->ethertype == ETH_IPV6) {
		if (read_v6(v))
			return -1;
	} else {
		read_arp(v);
		return 0;
	}
	if (v->frag & 0x1fff) {
		v->later_fragment = 1;
		v->key.kind = KEY_FRAGMENT;
		v->key.sport = v->ip_id;
		v->key.dport = v->ip_id >> 16;
		v->signature = v->ip_id ^ v->frag;
		return 0;
	}
	if (v->error)
		return quoted_key(v);
	return 0;
}

#endif
