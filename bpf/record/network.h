/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* IP, ARP and tunnel headers in a record. */
#ifndef TRACER_RECORD_NETWORK_H
#define TRACER_RECORD_NETWORK_H

/* `whole`: the bytes from the header on; what is too long for the field (BIG TCP) has 0 there. */
ALWAYS void fill_l3(struct event *e, const struct view *v, __u32 whole)
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
		if (!e->ip_len)
			e->ip_len = whole;
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
	if (e->ip_len == 40 && v->proto == IP_TCP)
		e->ip_len = whole;
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

#endif
