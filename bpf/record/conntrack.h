/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The conntrack entry in a record, and its tuples as keys of flows. */
#ifndef TRACER_RECORD_CONNTRACK_H
#define TRACER_RECORD_CONNTRACK_H

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

	return read_words((word *)tuple + 2, hashes + which * sizeof(*tuple) + 16, 5);
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

#endif
