/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Ports and ICMP ids: the second half of a flow's key. */
#ifndef TRACER_PACKET_TRANSPORT_H
#define TRACER_PACKET_TRANSPORT_H

ALWAYS int is_icmp_error(__u8 proto, __u8 type)
{
	if (proto == IP_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return proto == IP_ICMPV6 && type >= 1 && type <= 4;
}

ALWAYS int is_echo(__u8 proto, __u8 type)
{
	if (proto == IP_ICMP)
		return type == 8 || type == 0 || type == 13 || type == 14;
	return proto == IP_ICMPV6 && (type == 128 || type == 129);
}

/* Ports or ICMP id of the 8 bytes at a transport header. */
ALWAYS void key_l4(struct view *v, __u64 first)
{
	__u16 half0 = bpf_ntohs_((__u16)first), half1 = bpf_ntohs_((__u16)(first >> 16));

	v->key.sport = v->key.dport = 0;
	if (v->proto == IP_TCP || v->proto == IP_UDP || v->proto == IP_SCTP) {
		v->key.sport = half0;
		v->key.dport = half1;
		/* TCP: the sequence number; UDP: the length. */
		v->signature = v->proto == IP_TCP ? (__u32)(first >> 32) : (__u16)(first >> 32);
	} else if (v->proto == IP_ICMP || v->proto == IP_ICMPV6) {
		v->icmp_type = first & 0xff;
		v->error = is_icmp_error(v->proto, v->icmp_type);
		v->signature = (__u32)(first >> 48) << 16 | half0;
		if (is_echo(v->proto, v->icmp_type))
			v->key.sport = v->key.dport = bpf_ntohs_((__u16)(first >> 32));
	}
	v->signature ^= v->ip_id << 8 ^ v->proto;
}

#endif
