/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a view of a packet to a record in the ring. */
#ifndef TRACER_RECORD_RECORD_H
#define TRACER_RECORD_RECORD_H

/* Where a hook saw the packet, and what it knows beyond it. */
struct place {
	void *dev;		/* 0: unknown */
	void *net;		/* the namespace, where there is no device */
	__u64 location;
	__u32 hook, reason, flags;
	__u8 nat_hook, nat_source;	/* as in a record */
};

/* Returns the bytes from the network header on: packets too long for its length field have none in it. */
ALWAYS __u32 fill_lengths(struct event *e, const struct view *v, void *skb, const int direct)
{
	unsigned int end = 0, len = 0;
	__u32 from_head;
	__u64 shinfo;
	__u16 mac;
	void *data = 0;

	LOAD(direct, len, skb, skb_len);
	LOAD(direct, data, skb, skb_data);
	LOAD(direct, mac, skb, skb_mac_header);
	LOAD(direct, end, skb, skb_end);
	/* skb->len counts from skb->data; count from the link header, or the network header, instead. */
	from_head = len + (__u32)((__u64)(unsigned long)data - v->head);
	e->wire_len = from_head;
	if (mac != NO_HEADER && mac + 14 <= v->l3 && (v->outer_l3 || v->l3 - mac <= 26))
		e->wire_len -= mac;
	else
		e->wire_len -= v->outer_l3 ? v->outer_l3 : v->l3;
	shinfo = v->head + end;
	LOAD(0, e->gso_size, shinfo, shinfo_gso_size);
	return from_head - v->l3;
}

/* Where the headers end: behind them is what others wrote, which is copied only when asked for. */
ALWAYS __u32 headers_end(const struct event *e, const struct view *v)
{
	if (v->ethertype == ETH_ARP)
		return v->l3 + 28;
	if (v->error)	/* the IP headers that it quotes, and eight bytes */
		return v->quoted_l4 ? v->quoted_l4 + 8 : v->l4 + 8 + (v->proto == IP_ICMP ? 28 : 48);
	if (e->flags & FLAG_TRUNCATED || v->later_fragment)
		return v->l4;
	return v->l3 + e->ip_len - e->payload_len;
}

ALWAYS void fill_snap(struct event *e, const struct view *v, void *skb, const int direct)
{
	__u32 from = v->outer_l3 ? v->outer_l3 : v->l3, end = v->tail;
	__u64 size;
	__u16 mac;

	LOAD(direct, mac, skb, skb_mac_header);
	if (mac != NO_HEADER && mac + 14 <= from && from - mac <= 26)
		from = mac;
	if (opt_headers && headers_end(e, v) < end)
		end = headers_end(e, v);
	if (from >= end)
		return;
	size = (end - from) & 0xffff;
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
	__u32 from_l3;

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
	e->nat_hook = at->nat_hook;
	e->nat_source = at->nat_source;
	e->skb = (unsigned long)skb;
	e->head = v->head;
	e->cpu = bpf_get_smp_processor_id();
	e->ethertype = v->ethertype;
	LOAD(direct, e->mark, skb, skb_mark);
	if (LOAD_BITS(skb, skb_cloned, 1))
		e->flags |= FLAG_CLONED;
	fill_device(e, at->dev, direct);
	if (!e->netns)
		fill_netns(e, at->net, direct);
	from_l3 = fill_lengths(e, v, skb, direct);
	fill_link(e, v, skb, direct);
	if (v->ethertype == ETH_ARP) {
		fill_arp(e, v);
	} else {
		fill_l3(e, v, from_l3);
		fill_l4(e, v);
		if (!v->outer_l3) /* what carries the packet has an entry of its own */
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
