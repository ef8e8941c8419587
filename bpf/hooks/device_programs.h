/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where every device is seen: netif_receive_skb, net_dev_start_xmit, net_dev_queue. */
#ifndef TRACER_HOOKS_DEVICE_PROGRAMS_H
#define TRACER_HOOKS_DEVICE_PROGRAMS_H

#if HAVE_TYPED
PROGRAM("tp_btf/netif_receive_skb", receive_typed, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 1), HOOK_RECEIVE, 1);
}

PROGRAM("tp_btf/net_dev_start_xmit", xmit_typed, __u64)
{
	return at_device((void *)ctx[0], (void *)ctx[1], HOOK_XMIT, 1);
}

PROGRAM("tp_btf/net_dev_queue", queue_typed, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 1), HOOK_QUEUE, 1);
}
#endif

#if HAVE_RAW
PROGRAM("raw_tp/netif_receive_skb", receive_raw, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 0), HOOK_RECEIVE, 0);
}

PROGRAM("raw_tp/net_dev_start_xmit", xmit_raw, __u64)
{
	return at_device((void *)ctx[0], (void *)ctx[1], HOOK_XMIT, 0);
}

PROGRAM("raw_tp/net_dev_queue", queue_raw, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 0), HOOK_QUEUE, 0);
}
#endif

#endif
