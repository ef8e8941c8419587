/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps, and what a program begins and ends with. */
#ifndef TRACER_FLOW_MAPS_H
#define TRACER_FLOW_MAPS_H

enum nesting_constant { NESTING = 4 };

enum bloom_constant { BLOOM_BITS = 18 };

/* Bits of every key ever followed: one load tells most packets that they are not. */
struct bloom { __u64 words[(1 << BLOOM_BITS) / 64]; };

MAP(LRU_HASH, struct flow_key, struct flow_state, followed, 65536);
MAP(ARRAY, __u32, __u64, tracked, 65536);
MAP(PERCPU_ARRAY, __u32, struct cpu, per_cpu, 1);
MAP(PERCPU_ARRAY, __u32, struct view, views, NESTING);
MAP_MMAPABLE(struct bloom, followed_bits);
RING(events);

ALWAYS struct cpu *this_cpu(void)
{
	__u32 zero = 0;

	return LOOKUP(per_cpu, &zero);
}

/* The view a program works in. It is in a map and not on the stack: what the verifier does not follow,
 * it does not have to prove again for every way here. A program may interrupt another one on its CPU,
 * so there are some, by depth; end() gives one back. */
ALWAYS struct view *start(struct cpu *cpu)
{
	__u32 depth;
	struct view *v;

	if (!cpu)
		return 0;
	cpu->count.seen++;
	depth = cpu->depth;
	v = LOOKUP(views, &depth);
	if (!v) {
		cpu->count.unreadable++;
		return 0;
	}
	cpu->depth = depth + 1;
	return v;
}

ALWAYS int end(struct cpu *cpu)
{
	cpu->depth--;
	return 0;
}

/* The address of a packet as a number: the verifier allows no arithmetic on the pointers it knows. */
ALWAYS __u64 address_of(void *skb, struct cpu *cpu)
{
	volatile __u64 *slot = &cpu->address;

	*slot = (unsigned long)skb;
	return *slot;
}

#endif
