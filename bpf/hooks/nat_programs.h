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
	before_nat(ctx->skb, state, hook + 1, 1);
	return NF_ACCEPT;
}

PROGRAM("netfilter_after", after_netfilter, struct netfilter_context)
{
	struct cpu *cpu = this_cpu();

	if (cpu && cpu->translated)
		after_nat(ctx->skb, ctx->state, 1);
	return NF_ACCEPT;
}
#endif

#if HAVE_KPROBES
/* At which hook nf_nat_manip_pkt is at work, which knows the side alone. Destinations are rewritten where
 * a packet comes in, or this host sends it. Sources where it goes out by the device of its route; or comes
 * in for this host itself, whose route leads to another device, or by the loopback device. */
ALWAYS __u32 hook_of(void *skb, const __u32 is_dst)
{
	unsigned long dst = 0;
	void *dev, *out = 0;
	int iif = 0;

	LOAD(0, iif, skb, skb_iif);
	if (is_dst)
		return iif ? NAT_PREROUTING : NAT_OUTPUT;
	LOAD(0, dst, skb, skb_dst);
	if (!iif || !(dst & DST_PTRMASK))
		return NAT_POSTROUTING;
	dev = device_of(skb, 0);
	LOAD(0, out, dst & DST_PTRMASK, dst_dev);
	return iif == LOOPBACK_IFINDEX || dev != out ? NAT_INPUT : NAT_POSTROUTING;
}

/* Where there are no netfilter programs: entry of nf_nat_manip_pkt(skb, ct, mtype, dir). */
PROGRAM("kprobe/nf_nat_manip_pkt", before_kprobe, __u64)
{
	void *skb = (void *)ARGUMENT1(ctx);

	return before_nat(skb, 0, hook_of(skb, (__u32)ARGUMENT3(ctx) /* enum nf_nat_manip_type */), 0);
}

/* Of ICMP errors: nf_nat_icmp_reply_translation(skb, ct, ctinfo, hooknum), and that of IPv6. */
PROGRAM("kprobe/nf_nat_icmp", before_icmp_kprobe, __u64)
{
	return before_nat((void *)ARGUMENT1(ctx), 0, (__u32)ARGUMENT4(ctx) + 1, 0);
}

/* Return of any of these functions. */
PROGRAM("kretprobe/nf_nat_manip_pkt", after_kprobe, __u64)
{
	struct cpu *cpu = this_cpu();

	if (cpu && cpu->translated)
		after_nat((void *)(unsigned long)cpu->translated, 0, 0);
	return 0;
}
#endif

#endif
