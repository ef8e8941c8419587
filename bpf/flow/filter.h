/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The user's filter, asked about one direction of a flow. */
#ifndef TRACER_FLOW_FILTER_H
#define TRACER_FLOW_FILTER_H

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
