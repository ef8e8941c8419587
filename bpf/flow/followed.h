/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* `followed`: the flows that the user asked for, on both sides of NAT, and what answers them. */
#ifndef TRACER_FLOW_FOLLOWED_H
#define TRACER_FLOW_FOLLOWED_H

/* User space computes the same (flows.py). */
ALWAYS __u32 bloom_bit(const struct flow_key *key)
{
	__u64 hash = (key->src_lo + key->src_hi * 31) * 0x9e3779b97f4a7c15ULL;

	hash ^= (key->dst_lo + key->dst_hi * 31) * 0xc2b2ae3d27d4eb4fULL;
	hash += ((__u64)key->sport << 32 | (__u64)key->dport << 16 | key->proto << 8 | key->kind) *
		0x165667b19e3779f9ULL;
	hash ^= hash >> 29;
	return (hash * 0x9e3779b97f4a7c15ULL) >> (64 - BLOOM_BITS);
}

ALWAYS int may_be_followed(const struct flow_key *key)
{
	__u32 zero = 0, bit = bloom_bit(key);
	struct bloom *bloom = LOOKUP(followed_bits, &zero);

	return bloom && bloom->words[bit / 64] >> (bit & 63) & 1;
}

ALWAYS struct flow_state *find_flow(const struct flow_key *key)
{
	return may_be_followed(key) ? LOOKUP(followed, key) : 0;
}

ALWAYS void add_flow(const struct flow_key *key, struct bloom *bloom, struct cpu *cpu)
{
	struct flow_state state = {};
	__u32 bit = bloom_bit(key);
	int failed;

	__sync_fetch_and_or(&bloom->words[bit / 64], 1ULL << (bit & 63));
	failed = INSERT(followed, key, &state);
	if (!failed)
		cpu->count.followed_added++;
	else if (failed != -17) /* -EEXIST: nothing new */
		cpu->count.followed_failed++;
}

/* Follows packets with this key, and those that answer them. */
SLOW int add_both(const struct flow_key *key)
{
	__u32 zero = 0;
	struct bloom *bloom = LOOKUP(followed_bits, &zero);
	struct cpu *cpu = this_cpu();
	struct flow_key reverse;

	if (!bloom || !cpu)
		return 0;
	add_flow(key, bloom, cpu);
	if (key->kind == KEY_FRAGMENT)
		return 0;
	reverse.src_hi = key->dst_hi;
	reverse.src_lo = key->dst_lo;
	reverse.dst_hi = key->src_hi;
	reverse.dst_lo = key->src_lo;
	reverse.sport = key->dport;
	reverse.dport = key->sport;
	reverse.proto = key->proto;
	reverse.kind = key->kind;
	reverse.pad = 0;
	add_flow(&reverse, bloom, cpu);
	return 0;
}

#endif
