/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Transport headers, and what an ICMP error quotes, in a record. */
#ifndef TRACER_RECORD_TRANSPORT_H
#define TRACER_RECORD_TRANSPORT_H

/* 32 bytes from the transport header on: a TCP header and its timestamp option. Returns -1 when they
 * lie outside the readable part of the buffer. */
ALWAYS int read_l4(const struct view *v, __u64 *l4)
{
	if (v->ethertype != ETH_IP || v->l4 - v->l3 != 20)
		return read_at(v, l4, 32, v->l4);
	for (int i = 0; i < 4; i++)
		l4[i] = v->bytes[2 + i] >> 32 | v->bytes[3 + i] << 32;
	return v->l4 >= v->tail ? -1 : 0;
}

ALWAYS void fill_icmp(struct event *e, const struct view *v, const __u64 *l4)
{
	e->flags |= FLAG_L4;
	e->icmp_type = l4[0] & 0xff;
	e->icmp_code = l4[0] >> 8 & 0xff;
	if (is_echo(v->proto, e->icmp_type)) {
		e->flags |= FLAG_ECHO;
		e->icmp_id = bpf_ntohs_((__u16)(l4[0] >> 32));
		e->icmp_seq = bpf_ntohs_((__u16)(l4[0] >> 48));
	}
}

/* Returns the length of the header. */
ALWAYS __u32 fill_tcp(struct event *e, const __u64 *l4)
{
	__u16 control = bpf_ntohs_((__u16)(l4[1] >> 32));
	__u32 header = (control >> 12) * 4;

	e->flags |= FLAG_TCP;
	e->tcp_seq = bpf_ntohl_((__u32)(l4[0] >> 32));
	e->tcp_ack = bpf_ntohl_((__u32)l4[1]);
	e->tcp_flags = control & 0xfff;
	e->tcp_window = bpf_ntohs_((__u16)(l4[1] >> 48));
	/* Linux writes NOP, NOP, timestamp first on all but SYN, where it is MSS, SACK, timestamp. */
	if (header >= 32 && (__u32)(l4[2] >> 32) == 0x0a080101) {
		e->flags |= FLAG_TCP_TS;
		e->tcp_tsval = bpf_ntohl_((__u32)l4[3]);
		e->tcp_tsecr = bpf_ntohl_((__u32)(l4[3] >> 32));
	}
	return header;
}

ALWAYS void fill_l4(struct event *e, const struct view *v)
{
	__u64 l4[4] = {};
	__u32 header = 8, l3_size = v->l4 - v->l3;

	if (v->later_fragment) {
		e->flags |= FLAG_FRAGMENT;
		e->payload_len = e->ip_len - l3_size;
		return;
	}
	if (read_l4(v, l4)) {
		e->flags |= FLAG_TRUNCATED;
		return;
	}
	if (v->proto == IP_ICMP || v->proto == IP_ICMPV6) {
		fill_icmp(e, v, l4);
	} else if (has_ports(v->proto)) {
		e->flags |= FLAG_L4;
		e->sport = bpf_ntohs_((__u16)l4[0]);
		e->dport = bpf_ntohs_((__u16)(l4[0] >> 16));
		if (v->proto == IP_SCTP)
			header = 12;
		if (v->proto == IP_TCP)
			header = fill_tcp(e, l4);
	} else {
		header = 0;
	}
	if (e->ip_len > l3_size + header)
		e->payload_len = e->ip_len - l3_size - header;
}

SLOW int fill_quoted(struct event *e, const struct view *v)
{
	__u64 first = 0;
	__u64 bytes[2] = {};

	if (read_at(v, bytes, sizeof(bytes), v->l4 + 8))
		return 0;
	e->aux = AUX_QUOTED;
	e->inner_src_hi = v->key.src_hi;
	e->inner_src_lo = v->key.src_lo;
	e->inner_dst_hi = v->key.dst_hi;
	e->inner_dst_lo = v->key.dst_lo;
	e->inner_proto = v->quoted_proto;
	e->inner_ip_id = v->quoted_id;
	if (v->proto == IP_ICMP || v->quoted_frag)
		e->flags |= FLAG_INNER_IP_ID;
	e->inner_ttl = v->proto == IP_ICMP ? bytes[1] & 0xff : bytes[0] >> 56;
	if (!v->quoted_l4 || read_at(v, &first, sizeof(first), v->quoted_l4))
		return 0;
	e->flags |= FLAG_INNER_L4;
	e->inner_sport = v->key.sport;
	e->inner_dport = has_ports(v->quoted_proto) ? v->key.dport : bpf_ntohs_((__u16)(first >> 48));
	if (v->quoted_proto == IP_TCP)
		e->inner_tcp_seq = bpf_ntohl_((__u32)(first >> 32));
	return 0;
}

#endif
