/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet that came in by one device and becomes another one's without netif_receive_skb, which fires
 * before __netif_receive_skb_core goes another round: what lies on the device takes it (VLAN, macvlan,
 * ipvlan, bond, team), or a program gives it to the other end of a pair (bpf_redirect_peer). */
#ifndef TRACER_HOOKS_UPPER_H
#define TRACER_HOOKS_UPPER_H

/* RX_HANDLER_ANOTHER (linux/netdevice.h), and what vlan_do_receive returns where there is such a device. */
#define TAKEN 1

SLOW int at_upper(void *skb)
{
	return skb ? at_device(skb, device_of(skb, 0), HOOK_UPPER_RECEIVE, 0) : 0;
}

/* Handlers may put another buffer in the place of one that others hold, too. */
ALWAYS int at_slot(__u64 slot)
{
	void *skb = 0;

	bpf_probe_read_kernel(&skb, sizeof(skb), (void *)(unsigned long)slot);
	return at_upper(skb);
}

/* Where programs can look at no function: PREROUTING sees the packet at its device, in its namespace.
 * What has been seen there before is a broadcast, of which each device gets a copy. */
SLOW int at_upper_unseen(void *skb)
{
	struct cpu *cpu = this_cpu();
	void *dev = device_of(skb, 0);
	__u32 flags = 0;

	LOAD(0, flags, dev, dev_priv_flags);
	if (!(flags & IFF_UPPER) || !cpu)
		return 0;
	if (cpu->seen_skb == address_of(skb, cpu) && cpu->seen_at == (unsigned long)dev)
		return 0;
	return at_upper(skb);
}

#if HAVE_TYPED
PROGRAM("netfilter_upper", upper_netfilter, struct netfilter_context)
{
	at_upper_unseen(ctx->skb);
	return NF_ACCEPT;
}

/* bpf_get_func_arg (5.17): a context gives no pointers to pointers. */
#define GET_ARGUMENT ((long (*)(void *, __u32, __u64 *))183)

/* Functions of the kernel itself: their first argument, and behind it what they return. */
#define HANDLER(name, section)                                                                     \
	PROGRAM(section, name, __u64)                                                              \
	{                                                                                          \
		__u64 slot = 0;                                                                    \
                                                                                                   \
		if ((__u8)ctx[1] != TAKEN)                                                         \
			return 0;                                                                  \
		GET_ARGUMENT(ctx, 0, &slot);                                                       \
		return at_slot(slot);                                                              \
	}

HANDLER(vlan_typed, "fexit/vlan_do_receive")
HANDLER(macvlan_typed, "fexit/macvlan_handle_frame")
HANDLER(ipvlan_typed, "fexit/ipvlan_handle_frame")
HANDLER(bond_typed, "fexit/bond_handle_frame")
HANDLER(team_typed, "fexit/team_handle_frame")

PROGRAM("fexit/skb_do_redirect", peer_typed, __u64)
{
	return (__s32)ctx[1] == -EAGAIN ? at_upper((void *)ctx[0]) : 0;
}
#endif

#if HAVE_KPROBES
/* Functions of modules, too; user space says which. What has begun ends before the CPU takes up another
 * packet, but for redirections: those inside one end without giving anything to a peer. */
PROGRAM("kprobe/upper", upper_entry, __u64)
{
	struct cpu *cpu = this_cpu();

	if (cpu)
		cpu->handed = ARGUMENT1(ctx);
	return 0;
}

ALWAYS __u64 handed(struct cpu *cpu)
{
	__u64 argument = cpu->handed;

	cpu->handed = 0;
	return argument;
}

PROGRAM("kretprobe/upper", upper_return, __u64)
{
	struct cpu *cpu = this_cpu();
	__u64 slot = cpu ? handed(cpu) : 0;

	return slot && (__u8)RESULT(ctx) == TAKEN ? at_slot(slot) : 0;
}

/* unsigned int ipvlan_nf_input(void *, struct sk_buff *, const struct nf_hook_state *): in mode l3s a packet
 * is routed where it came in, and becomes the other device's only before a socket has it. */
PROGRAM("kprobe/input", input_entry, __u64)
{
	struct cpu *cpu = this_cpu();
	void *skb = (void *)ARGUMENT2(ctx);

	if (!cpu)
		return 0;
	cpu->handed = ARGUMENT2(ctx);
	cpu->handed_from = (unsigned long)device_of(skb, 0);
	return 0;
}

PROGRAM("kretprobe/input", input_return, __u64)
{
	struct cpu *cpu = this_cpu();
	__u64 skb = cpu ? handed(cpu) : 0;
	void *now;

	if (!skb)
		return 0;
	now = device_of((void *)(unsigned long)skb, 0);
	return (unsigned long)now != cpu->handed_from ? at_upper((void *)(unsigned long)skb) : 0;
}

PROGRAM("kretprobe/peer", peer_return, __u64)
{
	struct cpu *cpu = this_cpu();
	__u64 skb = cpu ? handed(cpu) : 0;

	return skb && (__s32)RESULT(ctx) == -EAGAIN ? at_upper((void *)(unsigned long)skb) : 0;
}
#endif

#endif
