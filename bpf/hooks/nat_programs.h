/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where NAT is seen: netfilter programs just before and just after it, or kprobes where there are none. */
#ifndef TRACER_HOOKS_NAT_PROGRAMS_H
#define TRACER_HOOKS_NAT_PROGRAMS_H

#if HAVE_TYPED
/* Netfilter links; libbpf 1.1 has no name for their sections, so user space sets the type. */
PROGRAM("netfilter_before", before_netfilter, struct netfilter_context)
{
	before_nat(ctx->skb, 1);
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

	before_nat((void *)ARGUMENT1(ctx), 0);
	if (cpu)	/* enum nf_nat_manip_type: source addresses are rewritten on the way out */
		cpu->nat_hook = (__u32)ARGUMENT3(ctx) ? NAT_PREROUTING : NAT_POSTROUTING;
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
	at.dev = device_of(skb, 0);
	after_nat(skb, &at, NAT_BY_KPROBE, 0);
	return 0;
}
#endif

#endif
