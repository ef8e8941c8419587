/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The datapath of Open vSwitch: ports in and out, the flow table, upcalls. */
#ifndef TRACER_HOOKS_OVS_H
#define TRACER_HOOKS_OVS_H

#if HAVE_KPROBES
/* The module's types are unknown when it is loaded after this program. `dev` has been the first member
 * of struct vport since Linux 4.3 (net/openvswitch/vport.h), and fill_device() takes only what leads to a
 * network namespace. */
ALWAYS void *port_device(void *vport)
{
	void *dev = 0;

	if (HAS(vport_dev))
		LOAD(0, dev, vport, vport_dev);
	else
		bpf_probe_read_kernel(&dev, sizeof(dev), vport);
	return dev;
}

PROGRAM("kprobe/ovs_vport_receive", ovs_receive, __u64)
{
	return at_device((void *)ARGUMENT2(ctx), port_device((void *)ARGUMENT1(ctx)), HOOK_OVS_RECEIVE, 0);
}

PROGRAM("kprobe/ovs_dp_process_packet", ovs_process, __u64)
{
	void *skb = (void *)ARGUMENT1(ctx);

	return at_device(skb, device_of(skb, 0), HOOK_OVS_PROCESS, 0);
}

PROGRAM("kprobe/ovs_dp_upcall", ovs_upcall, __u64)
{
	void *skb = (void *)ARGUMENT2(ctx);

	return at_device(skb, device_of(skb, 0), HOOK_OVS_UPCALL, 0);
}

PROGRAM("kprobe/ovs_vport_send", ovs_send, __u64)
{
	return at_device((void *)ARGUMENT2(ctx), port_device((void *)ARGUMENT1(ctx)), HOOK_OVS_SEND, 0);
}
#endif

#endif
