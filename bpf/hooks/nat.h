/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a packet was just before NAT, and is just after it. */
#ifndef TRACER_HOOKS_NAT_H
#define TRACER_HOOKS_NAT_H

SLOW int show_translation(const struct view *v, void *skb, const struct place *at, __u32 source,
			  struct cpu *cpu)
{
	struct event *e = begin(v, skb, at, cpu, 0);

	cpu->count.matched++;
	if (!e)
		return 0;
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
	e->nat_hook = cpu->nat_hook;
	e->nat_source = source;
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
 * first to see it. What NAT sees of an ICMP error are the addresses of the packet that it quotes. */
ALWAYS int is_own(const struct view *v, void *skb, const int direct)
{
	int iif = 0;

	LOAD(direct, iif, skb, skb_iif);
	return !iif && !v->error && !v->later_fragment;
}

/* Just before NAT: keep what the packet is now. */
ALWAYS int before_nat(void *skb, __u32 side, const int direct)
{
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
		cpu->before = v->key;
		cpu->before_ns = is_own(v, skb, direct) ? bpf_ktime_get_ns() : 0;
		cpu->translated = address_of(skb, cpu);
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
ALWAYS int after_nat(void *skb, const struct place *at, __u32 source, const int direct)
{
	struct cpu *cpu = this_cpu();
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
		show_translation(v, skb, at, source, cpu);
	}
	return end(cpu);
}

#endif
