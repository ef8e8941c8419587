/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whether a packet belongs to what the user asked for. */
#ifndef TRACER_FLOW_TAKEN_H
#define TRACER_FLOW_TAKEN_H

/* Fills the view's key; goes into tunnels. Returns 0 when there is a key to ask about. */
ALWAYS int identify(struct view *v, void *skb, const int direct, const int at_data,
		    struct cpu *cpu)
{
	if (locate(v, skb, direct, at_data))
		return -1;
	if (read_l3(v)) {
		if (v->l3 >= v->tail)
			cpu->count.unreadable++;
		return -1;
	}
	if (opt_tunnels && is_tunnel(v) && !find_flow(&v->key)) {
		__u32 l3 = v->l3;
		__u16 ethertype = v->ethertype;

		if (enter_tunnel(v)) {
			v->l3 = l3;
			v->ethertype = ethertype;
			v->outer_l3 = v->encap = 0;
			return read_l3(v);
		}
	}
	return 0;
}

/* The slow half of matching, for packets that are taken: remember what they may become. */
SLOW int remember(const struct view *v, __u64 ct)
{
	struct flow_state *state = find_flow(&v->key);
	struct flow_key part;

	if (!state) {
		add_both(&v->key);
		state = find_flow(&v->key);
	}
	if (v->frag & 0x2000 && !v->later_fragment) {
		part = v->key;
		part.kind = KEY_FRAGMENT;
		part.sport = v->ip_id;
		part.dport = v->ip_id >> 16;
		add_both(&part);
	}
	if (ct && state && state->ct != ct) {
		learn_tuples(ct);
		state->ct = ct;
	}
	return 0;
}

/* Whether this packet is to be shown. `v->key` is filled; `translating`: the hook sees conntrack;
 * `learning`: what comes of the packet is to be followed, too. */
ALWAYS int taken(struct view *v, void *skb, const int direct, const int translating,
		 const int learning, struct cpu *cpu)
{
	__u64 ct = 0;
	struct flow_state *state;

	if (opt_match_all)
		goto take;
	/* Taken at an earlier hook, which has learnt its addresses. */
	if (!learning && is_tracked(address_of(skb, cpu), v->signature))
		goto take;
	if (translating && !v->outer_l3) /* what carries the packet has an entry of its own */
		ct = translated_entry(skb, direct);
	state = find_flow(&v->key);
	if (state && (!ct || state->ct == ct) && !(v->frag & 0x2000))
		goto take;
	if (!state && !filter_matches(&v->key) && !is_tracked(address_of(skb, cpu), v->signature) &&
	    !(ct && filter_takes_translation(ct)))
		return 0;
	remember(v, ct);
take:
	cpu->count.matched++;
	return 1;
}

#endif
