/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a packet was just before NAT, and is just after it. */
#ifndef TRACER_HOOKS_NAT_H
#define TRACER_HOOKS_NAT_H

/* Where NAT is at work on a packet: its hook's state tells, or what the packet says where NAT is seen by
 * kprobes (`state` 0). */
ALWAYS void nat_place(struct place *at, void *skb, struct nf_hook_state *state, struct cpu *cpu)
{
	at->hook = HOOK_NAT;
	at->nat_hook = cpu->nat_hook;
	if (!state) {
		at->nat_source = NAT_BY_KPROBE;
		holder(at, skb, 0);
		return;
	}
	at->nat_source = NAT_BY_NETFILTER_LINK;
	LOAD(1, at->net, state, state_net);
	if (cpu->nat_hook <= NAT_INPUT)
		LOAD(1, at->dev, state, state_in);
	else
		LOAD(1, at->dev, state, state_out);
}

/* An ICMP error's record has what it quotes, which NAT rewrote; what that was, show_own_error has told. */
SLOW int show_translation(const struct view *v, void *skb, const struct place *at, struct cpu *cpu)
{
	struct event *e = begin(v, skb, at, cpu, 0);

	cpu->count.matched++;
	if (!e)
		return 0;
	if (!v->error) {
		e->aux = AUX_NAT;
		e->before_src_hi = cpu->before.src_hi;
		e->before_src_lo = cpu->before.src_lo;
		e->before_dst_hi = cpu->before.dst_hi;
		e->before_dst_lo = cpu->before.dst_lo;
		e->before_sport = cpu->before.sport;
		e->before_dport = cpu->before.dport;
		if (!has_ports(cpu->before.proto))
			e->before_icmp_id = cpu->before.sport;
		e->before_ns = cpu->before_ns;
	}
	finish(e, cpu);
	return 0;
}

ALWAYS int same_key(const struct flow_key *a, const struct flow_key *b)
{
	return a->src_lo == b->src_lo && a->dst_lo == b->dst_lo && a->src_hi == b->src_hi &&
	       a->dst_hi == b->dst_hi && a->sport == b->sport && a->dport == b->dport;
}

/* Whether NAT may rewrite this packet where it rewrites sources (IPS_SRC_NAT) or destinations: its
 * conntrack entry says so, of answers the other way round, or may still come to (NAT leaves confirmed
 * entries alone: nf_nat_setup_info). */
ALWAYS int may_be_translated(void *skb, __u32 side, const int direct)
{
	unsigned long nfct = 0, status = 0;

	LOAD(direct, nfct, skb, skb_nfct);
	if (!(nfct & NFCT_PTRMASK))
		return 0;
	if ((nfct & NFCT_INFOMASK) >= IP_CT_IS_REPLY)
		side ^= IPS_NAT_MASK;
	LOAD(0, status, nfct & NFCT_PTRMASK, ct_status);
	return status & side || !(status & IPS_CONFIRMED);
}

/* Whether this host itself sends the packet: it came in by no device, so NAT on its way out is the
 * first to see it. */
ALWAYS int is_own(void *skb, const int direct)
{
	int iif = 0;

	LOAD(direct, iif, skb, skb_iif);
	return !iif;
}

/* Whether NAT makes an ICMP error another one: where it rewrites the error's destination, the source in
 * its quote becomes that of the tuple by which quoted packets travel, which is against the error; and
 * the other way round (nf_nat_icmp_reply_translation). */
ALWAYS int quote_changes(const struct view *v, void *skb, __u32 side, const int direct)
{
	const int has_number = v->key.kind == KEY_FLOW && v->quoted_l4;
	unsigned long nfct = 0;
	struct flow_key to;

	LOAD(direct, nfct, skb, skb_nfct);
	if (entry_key(nfct & NFCT_PTRMASK, (nfct & NFCT_INFOMASK) < IP_CT_IS_REPLY, &to))
		return 0;
	if (side == IPS_DST_NAT)
		return to.src_lo != v->key.src_lo || to.src_hi != v->key.src_hi ||
		       (has_number && to.sport != v->key.sport);
	return to.dst_lo != v->key.dst_lo || to.dst_hi != v->key.dst_hi ||
	       (has_number && to.dport != v->key.dport);
}

/* An ICMP error of this host itself that NAT is about to make another, quote and all: it is seen nowhere
 * before. There are few of them, so each is shown at once as it is now. */
ALWAYS void show_own_error(struct view *v, void *skb, struct nf_hook_state *state, __u32 side,
			   struct cpu *cpu, const int direct)
{
	const __u64 address = address_of(skb, cpu);
	struct place at = {};

	if (is_tracked(address, v->signature) || !quote_changes(v, skb, side, direct) ||
	    !taken(v, skb, direct, 1, 1, cpu))
		return;
	nat_place(&at, skb, state, cpu);
	at.nat_hook += NAT_BEFORE;
	track(address, v->signature, cpu);
	show(v, skb, &at, cpu, 0);
}

/* Just before NAT: keep what the packet is now. `hook`: enum event_nat_hook; `state`: as nat_place. */
ALWAYS int before_nat(void *skb, struct nf_hook_state *state, __u32 hook, const int direct)
{
	/* PREROUTING and OUTPUT rewrite destinations, INPUT and POSTROUTING sources. */
	const __u32 side = hook == NAT_PREROUTING || hook == NAT_OUTPUT ? IPS_DST_NAT : IPS_SRC_NAT;
	struct cpu *cpu = this_cpu();
	struct view *v;

	if (!cpu)
		return 0;
	cpu->translated = 0;
	if (!may_be_translated(skb, side, direct)) {
		cpu->count.seen++;
		return 0;
	}
	v = start(cpu);
	if (!v)
		return 0;
	if (!locate(v, skb, direct, 0) && !read_l3(v)) {
		const int own = is_own(skb, direct) && !v->later_fragment;

		cpu->before = v->key;
		cpu->before_ns = own && !v->error ? bpf_ktime_get_ns() : 0;
		cpu->nat_hook = hook;
		cpu->translated = address_of(skb, cpu);
		if (own && v->error)
			show_own_error(v, skb, state, side, cpu, direct);
	}
	return end(cpu);
}

/* Whether a packet that NAT has just rewritten is one of ours, before or after. */
SLOW int translation_taken(struct view *v, __u64 ct, struct cpu *cpu)
{
	if (opt_match_all)
		return 1;
	if (!find_flow(&v->key) && !find_flow(&cpu->before) && !filter_matches(&v->key) &&
	    !filter_matches(&cpu->before) && !(ct && filter_takes_translation(ct)))
		return 0;
	add_both(&cpu->before);
	remember(v, ct);
	return 1;
}

/* Just after NAT: show it when it is another now. */
ALWAYS int after_nat(void *skb, struct nf_hook_state *state, const int direct)
{
	struct cpu *cpu = this_cpu();
	struct place at = {};
	struct view *v;

	if (!cpu || cpu->translated != address_of(skb, cpu))
		return 0;
	cpu->translated = 0;
	v = start(cpu);
	if (!v)
		return 0;
	if (!locate(v, skb, direct, 0) && !read_l3(v) && !same_key(&v->key, &cpu->before) &&
	    translation_taken(v, translated_entry(skb, direct), cpu)) {
		if (is_tracked(address_of(skb, cpu), v->signature))
			cpu->before_ns = 0;
		track(address_of(skb, cpu), v->signature, cpu);
		nat_place(&at, skb, state, cpu);
		show_translation(v, skb, &at, cpu);
	}
	return end(cpu);
}

#endif
