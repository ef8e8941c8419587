/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where NAT is seen: netfilter programs just before and just after it, or kprobes where there are none. */
#ifndef TRACER_HOOKS_NAT_PROGRAMS_H
#define TRACER_HOOKS_NAT_PROGRAMS_H

#if HAVE_TYPED
/* Netfilter links; libbpf 1.1 has no name for their sections, so user space sets the type. */
PROGRAM("netfilter_before", before_netfilter, struct netfilter_context)
{
	struct nf_hook_state *state = ctx->state;
	__u8 hook;

	LOAD(1, hook, state, state_hook);
	/* PREROUTING and OUTPUT rewrite destinations, INPUT and POSTROUTING sources. */
	before_nat(ctx->skb, hook == 0 || hook == 3 ? IPS_DST_NAT : IPS_SRC_NAT, 1);
	return NF_ACCEPT;
}

PROGRAM("netfilter_after", after_netfilter, struct netfilter_context)
{
	struct place at = { .hook = HOOK_NAT };
	struct nf_hook_state *state = ctx->state;
	struct cpu *cpu = this_cpu();
	__u8 hook;

	if (!cpu || !cpu->translated)
		return NF_ACCEPT;
	LOAD(1, hook, state, state_hook);
	LOAD(1, at.net, state, state_net);
	if (hook <= 1) /* PREROUTING, INPUT */
		LOAD(1, at.dev, state, state_in);
	else
		LOAD(1, at.dev, state, state_out);
	cpu->nat_hook = hook + 1;
	after_nat(ctx->skb, &at, NAT_BY_NETFILTER_LINK, 1);
	return NF_ACCEPT;
}
#endif

#if HAVE_KPROBES
/* Entry and return of nf_nat_manip_pkt(skb, ct, mtype, dir), where there are no netfilter programs. */
PROGRAM("kprobe/nf_nat_manip_pkt", before_kprobe, __u64)
{
	struct cpu *cpu = this_cpu();
	void *skb = (void *)ARGUMENT1(ctx);
	const __u32 is_dst = (__u32)ARGUMENT3(ctx);	/* enum nf_nat_manip_type */

	before_nat(skb, is_dst ? IPS_DST_NAT : IPS_SRC_NAT, 0);
	if (!cpu)
		return 0;
	/* Source addresses are rewritten on the way out; what this host sends has no device at first. */
	if (is_dst)
		cpu->nat_hook = device_of(skb, 0) ? NAT_PREROUTING : NAT_OUTPUT;
	else
		cpu->nat_hook = NAT_POSTROUTING;
	return 0;
}

PROGRAM("kretprobe/nf_nat_manip_pkt", after_kprobe, __u64)
{
	struct place at = { .hook = HOOK_NAT };
	struct cpu *cpu = this_cpu();
	void *skb;

	if (!cpu || !cpu->translated)
		return 0;
	skb = (void *)(unsigned long)cpu->translated;
	holder(&at, skb, 0);
	after_nat(skb, &at, NAT_BY_KPROBE, 0);
	return 0;
}
#endif

#endif
