/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* `tracked`: buffers that were taken, recognised after their addresses were rewritten. */
#ifndef TRACER_FLOW_TRACKED_H
#define TRACER_FLOW_TRACKED_H

/* `tracked` is direct-mapped: high half the buffer's address, low half what tells its reuse. */
ALWAYS __u32 tracked_slot(__u64 skb)
{
	__u64 hash = (skb >> 6) * 0x9e3779b97f4a7c15ULL;

	return (hash >> 40) & opt_tracked_mask;
}

ALWAYS __u64 tracked_word(__u64 skb, __u32 signature)
{
	return (skb >> 6) << 32 | signature;
}

ALWAYS int is_tracked(__u64 skb, __u32 signature)
{
	__u32 slot = tracked_slot(skb);
	__u64 *word = LOOKUP(tracked, &slot);

	return word && *word == tracked_word(skb, signature);
}

ALWAYS int is_tracked_address(__u64 skb)
{
	__u32 slot = tracked_slot(skb);
	__u64 *word = LOOKUP(tracked, &slot);

	return word && *word >> 32 == (skb >> 6 & 0xffffffff);
}

ALWAYS void track(__u64 skb, __u32 signature, struct cpu *cpu)
{
	__u32 slot = tracked_slot(skb);
	__u64 *word = LOOKUP(tracked, &slot), now = tracked_word(skb, signature);

	if (!word || *word == now)
		return;
	if (*word && *word >> 32 != now >> 32)
		cpu->count.tracked_evicted++;
	cpu->count.tracked_added++;
	*word = now;
}

ALWAYS void forget(__u64 skb)
{
	__u32 slot = tracked_slot(skb);
	__u64 *word = LOOKUP(tracked, &slot);

	if (word && *word >> 32 == (skb >> 6 & 0xffffffff))
		*word = 0;
}

#endif
