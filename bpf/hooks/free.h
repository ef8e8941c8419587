/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The end of a buffer: kfree_skb with its reason, consume_skb. */
#ifndef TRACER_HOOKS_FREE_H
#define TRACER_HOOKS_FREE_H

/* The device that holds a buffer being freed, and the namespace of its socket where it has none. */
ALWAYS void holder(struct place *at, void *skb, const int direct)
{
	void *sk = 0;

	LOAD(direct, at->dev, skb, skb_dev);
	LOAD(direct, sk, skb, skb_sk);
	if (sk)
		LOAD(direct, at->net, sk, sk_net);
}

/* The device of a buffer that TCP freed, which has none in a socket's hands (tcp_v4_rcv): the one it came
 * in by, where no other buffer came in on this CPU since. Whether that is known; not typed. */
ALWAYS int came_in_by(struct place *at, void *skb, struct cpu *cpu, const int direct)
{
	void *dev = (void *)(unsigned long)cpu->seen_at;
	int iif = 0, ifindex = 0;

	if (at->dev)
		return 0;
	if (cpu->seen_skb != address_of(skb, cpu))
		return 0;
	LOAD(direct, iif, skb, skb_iif);
	LOAD(0, ifindex, dev, dev_ifindex);
	if (!iif || iif != ifindex)
		return 0;
	at->dev = dev;
	at->flags |= FLAG_CAME_BY;
	return 1;
}

/* Whether a buffer is no packet on its way: what a socket keeps in its queue of errors (of an ICMP
 * error, of a packet sent; sock_queue_err_skb marks it as it marks what a sniffer gets of sent packets),
 * or was to keep there: a header made to tell an address (ipv6_local_error and the like), of which
 * nothing else is filled and nothing is left, and which no device brought. */
ALWAYS int is_socket_note(void *skb, const int direct)
{
	void *dev = 0, *head = 0, *data = 0;
	unsigned int len = 0;
	__u16 offset = 0;
	int iif = 0;

	if (LOAD_BITS(skb, skb_pkt_type, 3) == PACKET_OUTGOING)
		return 1;
	LOAD(direct, len, skb, skb_len);
	LOAD(direct, dev, skb, skb_dev);
	LOAD(direct, iif, skb, skb_iif);
	if (len || dev || iif)
		return 0;
	LOAD(direct, head, skb, skb_head);
	LOAD(direct, data, skb, skb_data);
	LOAD(direct, offset, skb, skb_network_header);
	return (unsigned long)data > (unsigned long)head + offset;
}

ALWAYS int at_kfree(void *skb, __u64 location, __u32 reason, const int direct)
{
	struct place at = { .hook = HOOK_KFREE, .location = location, .reason = reason };
	struct cpu *cpu = this_cpu();
	struct view *v;

	if (!cpu)
		return 0;
	if (is_stranger(skb, direct, 0, 1, cpu)) {
		cpu->count.seen++;
		return 0;
	}
	v = start(cpu);
	if (!v)
		return 0;
	if (!identify(v, skb, direct, 0, cpu) && taken(v, skb, direct, 1, 0, cpu)) {
		forget(address_of(skb, cpu));
		if (cpu->unrouted)
			await_no_route(cpu, address_of(skb, cpu));
		if (is_socket_note(skb, direct))
			return end(cpu);
		holder(&at, skb, direct);
		if (HAS_DROP_REASON)
			at.flags = FLAG_REASON;
		if (came_in_by(&at, skb, cpu, direct))
			show(v, skb, &at, cpu, 0);
		else
			show(v, skb, &at, cpu, direct);
	}
	return end(cpu);
}

/* Only buffers seen before: a clone that a sniffer frees has another address. */
ALWAYS int at_consume(void *skb, const int direct)
{
	struct place at = { .hook = HOOK_CONSUME };
	struct cpu *cpu = this_cpu();
	__u64 address;
	struct view *v;

	if (!cpu)
		return 0;
	address = address_of(skb, cpu);
	if (!is_tracked_address(address)) {
		cpu->count.seen++;
		return 0;
	}
	v = start(cpu);
	if (!v)
		return 0;
	if (!identify(v, skb, direct, 0, cpu) && is_tracked(address, v->signature)) {
		cpu->count.matched++;
		holder(&at, skb, direct);
		show(v, skb, &at, cpu, direct);
	}
	forget(address);
	if (cpu->unrouted)
		await_no_route(cpu, address);
	return end(cpu);
}

#if HAVE_TYPED
PROGRAM("tp_btf/kfree_skb", kfree_typed, __u64)
{
	return at_kfree((void *)ctx[0], ctx[1], HAS_DROP_REASON ? ctx[2] : 0, 1);
}

PROGRAM("tp_btf/consume_skb", consume_typed, __u64)
{
	return at_consume((void *)ctx[0], 1);
}
#endif

#if HAVE_RAW
PROGRAM("raw_tp/kfree_skb", kfree_raw, __u64)
{
	return at_kfree((void *)ctx[0], ctx[1], HAS_DROP_REASON ? ctx[2] : 0, 0);
}

PROGRAM("raw_tp/consume_skb", consume_raw, __u64)
{
	return at_consume((void *)ctx[0], 0);
}
#endif

#endif
