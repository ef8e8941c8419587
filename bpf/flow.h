/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which packets belong to what the user asked for: `followed` flows on both sides of NAT, and
 * `tracked` buffers, which are recognised after their addresses were rewritten. */
#ifndef TRACER_FLOW_H
#define TRACER_FLOW_H

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

ALWAYS int in_net(OPTION_ARRAY __u64 *net, __u64 hi, __u64 lo)
{
	return !((hi ^ net[0]) & net[2]) && !((lo ^ net[1]) & net[3]);
}

ALWAYS int src_matches(const struct flow_key *key, OPTION_ARRAY __u64 *nets, __u32 n)
{
	for (int i = 0; i < FILTER_ALTERNATIVES; i++)
		if (i < n && in_net(&nets[4 * i], key->src_hi, key->src_lo))
			return 1;
	return 0;
}

ALWAYS int dst_matches(const struct flow_key *key, OPTION_ARRAY __u64 *nets, __u32 n)
{
	for (int i = 0; i < FILTER_ALTERNATIVES; i++)
		if (i < n && in_net(&nets[4 * i], key->dst_hi, key->dst_lo))
			return 1;
	return 0;
}

ALWAYS int port_matches(__u16 port, OPTION_ARRAY __u32 *ports, __u32 n)
{
	for (int i = 0; i < FILTER_ALTERNATIVES; i++)
		if (i < n && port == ports[i])
			return 1;
	return 0;
}

/* Whether the user's filter takes a packet with this key. */
ALWAYS int filter_matches(const struct flow_key *key)
{
	const __u32 terms = user_filter.terms;

	if (terms & TERM_PROTO) {
		if (user_filter.proto == PROTO_ARP ? key->kind != KEY_ARP :
						     key->kind == KEY_ARP || key->proto != user_filter.proto)
			return 0;
	}
	if (terms & TERM_ICMP_ID) {
		if (key->kind != KEY_FLOW || key->sport != user_filter.icmp_id ||
		    (key->proto != IP_ICMP && key->proto != IP_ICMPV6))
			return 0;
	}
	if (terms & (TERM_PORT | TERM_SPORT | TERM_DPORT)) {
		if (key->kind != KEY_FLOW || !has_ports(key->proto))
			return 0;
		if (terms & TERM_SPORT && !port_matches(key->sport, user_filter.sport, user_filter.sports))
			return 0;
		if (terms & TERM_DPORT && !port_matches(key->dport, user_filter.dport, user_filter.dports))
			return 0;
		if (terms & TERM_PORT &&
		    !port_matches(key->sport, user_filter.port, user_filter.ports) &&
		    !port_matches(key->dport, user_filter.port, user_filter.ports))
			return 0;
	}
	if (terms & TERM_SRC && !src_matches(key, user_filter.src, user_filter.srcs))
		return 0;
	if (terms & TERM_DST && !dst_matches(key, user_filter.dst, user_filter.dsts))
		return 0;
	if (terms & TERM_HOST && !src_matches(key, user_filter.host, user_filter.hosts) &&
	    !dst_matches(key, user_filter.host, user_filter.hosts))
		return 0;
	return 1;
}

#endif
