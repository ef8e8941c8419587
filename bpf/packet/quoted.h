/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The packet that an ICMP error quotes. */
#ifndef TRACER_PACKET_QUOTED_H
#define TRACER_PACKET_QUOTED_H

/* Walks the extension headers of a quoted IPv6 packet, as those of the packet itself are walked.
 * Returns where it lies in its datagram, as `struct view` has it. */
ALWAYS __u32 quoted_v6(struct view *v, __u32 l3, __u8 proto)
{
	__u32 l4 = v->l4, own_id = v->ip_id, own_frag = v->frag, frag;
	__u8 own = v->proto;

	v->proto = proto;
	v->l4 = l3 + 40;
	v->ip_id = v->frag = 0;
	skip_extensions(v);	/* where the quote ends in them, the protocol stays theirs */
	v->quoted_proto = v->proto;
	v->quoted_l4 = v->l4;
	v->quoted_id = v->ip_id;
	frag = v->frag;
	v->proto = own;
	v->l4 = l4;
	v->ip_id = own_id;
	v->frag = own_frag;
	return frag;
}

/* The key of the packet that an ICMP error quotes: errors belong to the flow they speak of. */
SLOW int quoted_key(struct view *v)
{
	__u64 first = 0;
	__u64 bytes[5];
	__u32 l3 = v->l4 + 8, frag;

	if (read_at(v, bytes, sizeof(bytes), l3))
		return -1;
	if (v->proto == IP_ICMP) {
		key_v4(&v->key, bytes[1] >> 32, (__u32)bytes[2]);
		v->quoted_proto = bytes[1] >> 8 & 0xff;
		v->quoted_l4 = l3 + (bytes[0] & 0xf) * 4;
		v->quoted_id = bpf_ntohs_((__u16)(bytes[0] >> 32));
		frag = bpf_ntohs_((__u16)(bytes[0] >> 48));
	} else {
		v->key.src_hi = bpf_ntohll_(bytes[1]);
		v->key.src_lo = bpf_ntohll_(bytes[2]);
		v->key.dst_hi = bpf_ntohll_(bytes[3]);
		v->key.dst_lo = bpf_ntohll_(bytes[4]);
		frag = quoted_v6(v, l3, bytes[0] >> 48 & 0xff);
	}
	v->key.proto = v->quoted_proto;
	v->key.sport = v->key.dport = 0;
	v->quoted_frag = frag != 0;
	if (frag & 0x1fff) {	/* no ports: its datagram is known by its id */
		v->quoted_l4 = 0;
		v->key.kind = KEY_FRAGMENT;
		v->key.sport = v->quoted_id;
		v->key.dport = v->quoted_id >> 16;
		return 0;
	}
	if (read_at(v, &first, sizeof(first), v->quoted_l4)) {
		v->quoted_l4 = 0;
	} else if (has_ports(v->quoted_proto)) {
		v->key.sport = bpf_ntohs_((__u16)first);
		v->key.dport = bpf_ntohs_((__u16)(first >> 16));
	} else if (is_echo(v->quoted_proto, first & 0xff)) {
		v->key.sport = v->key.dport = bpf_ntohs_((__u16)(first >> 32));
	} else {
		v->quoted_l4 = 0;
	}
	return 0;
}

#endif
