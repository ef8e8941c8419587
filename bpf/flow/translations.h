/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What conntrack says a packet's addresses were, or will be. */
#ifndef TRACER_FLOW_TRANSLATIONS_H
#define TRACER_FLOW_TRANSLATIONS_H

/* The key of one tuple (0 original, 1 reply) of a conntrack entry. */
SLOW int entry_key(__u64 ct, __u32 which, struct flow_key *key)
{
	struct wire_tuple tuple;

	if (read_tuple(ct, which & 1, &tuple))
		return -1;
	tuple_key(&tuple, key);
	return 0;
}

/* Adds the keys of a packet's translations: both tuples of its conntrack entry, both ways. */
SLOW int learn_tuples(__u64 ct)
{
	struct flow_key key;

	if (!entry_key(ct, 0, &key))
		add_both(&key);
	if (!entry_key(ct, 1, &key))
		add_both(&key);
	return 0;
}

/* Whether the user's filter takes either tuple of a translated packet's conntrack entry. */
SLOW int filter_takes_translation(__u64 ct)
{
	struct flow_key key;

	if (!entry_key(ct, 0, &key) && filter_matches(&key))
		return 1;
	return !entry_key(ct, 1, &key) && filter_matches(&key);
}

ALWAYS __u64 translated_entry(void *skb, const int direct)
{
	unsigned long nfct = 0, status = 0;
	void *ct;

	LOAD(direct, nfct, skb, skb_nfct);
	ct = (void *)(nfct & NFCT_PTRMASK);
	if (!ct)
		return 0;
	LOAD(0, status, ct, ct_status);
	return status & IPS_NAT_MASK ? (unsigned long)ct : 0;
}

#endif
