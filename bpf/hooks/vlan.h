/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A tagged packet that becomes its VLAN device's. */
#ifndef TRACER_HOOKS_VLAN_H
#define TRACER_HOOKS_VLAN_H

#if HAVE_KPROBES
/* bool vlan_do_receive(struct sk_buff **): on return the packet belongs to the VLAN device. */
PROGRAM("kprobe/vlan_do_receive", vlan_entry, __u64)
{
	struct cpu *cpu = this_cpu();

	if (cpu)
		cpu->vlan_slot = ARGUMENT1(ctx);
	return 0;
}

PROGRAM("kretprobe/vlan_do_receive", vlan_return, __u64)
{
	struct cpu *cpu = this_cpu();
	void *skb = 0;

	if (!cpu || !cpu->vlan_slot || !(__u8)RESULT(ctx))
		return 0;
	bpf_probe_read_kernel(&skb, sizeof(skb), (void *)(unsigned long)cpu->vlan_slot);
	cpu->vlan_slot = 0;
	return skb ? at_device(skb, device_of(skb, 0), HOOK_VLAN_RECEIVE, 0) : 0;
}
#endif

#endif
