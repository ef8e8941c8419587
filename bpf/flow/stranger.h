/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The cheapest question of all: most packets are nobody's, and leave here. */
#ifndef TRACER_FLOW_STRANGER_H
#define TRACER_FLOW_STRANGER_H

/* The key of a plain IPv4 packet from its first 32 bytes. Returns 0 for one that needs a closer look:
 * options, fragments, ICMP errors, tunnels; -1 for a protocol that cannot matter. */
ALWAYS int plain_key(const __u64 *w, struct flow_key *key)
{
	__u8 proto = w[1] >> 8 & 0xff, type = w[2] >> 32 & 0xff;

	if ((w[0] & 0xff) != 0x45 || (w[0] >> 48 & 0xff3f))
		return 0;
	if (!(opt_protocols >> (proto & 63) & 1))
		return -1;
	key_v4(key, w[1] >> 32, (__u32)w[2]);
	key->proto = proto;
	key->kind = KEY_FLOW;
	key->pad = key->sport = key->dport = 0;
	if (has_ports(proto)) {
		key->sport = bpf_ntohs_((__u16)(w[2] >> 32));
		key->dport = bpf_ntohs_((__u16)(w[2] >> 48));
		return !opt_tunnels || proto != IP_UDP || !is_tunnel_port(key->dport);
	}
	if (proto == IP_ICMP && is_echo(proto, type)) {
		key->sport = key->dport = bpf_ntohs_((__u16)w[3]);
		return 1;
	}
	return 0;
}

/* The cheapest question, asked before a view is filled: is this certainly nobody's packet? */
ALWAYS int is_stranger(void *skb, const int direct, const int at_data, const int translating,
		       struct cpu *cpu)
{
	struct flow_key key;
	__u64 w[4];
	void *head;
	__u16 protocol, offset = 0;
	int plain;

	LOAD(direct, protocol, skb, skb_protocol);
	if (!is_packet(bpf_ntohs_(protocol)))
		return 1;
	if (opt_match_all || protocol != bpf_ntohs_(ETH_IP))
		return 0;
	if (at_data) {
		LOAD(direct, head, skb, skb_data);
	} else {
		LOAD(direct, head, skb, skb_head);
		LOAD(direct, offset, skb, skb_network_header);
	}
	if (read_words(w, (void *)((unsigned long)head + offset), 4))
		return 0;
	plain = plain_key(w, &key);
	if (plain <= 0)
		return plain;
	if (may_be_followed(&key) || filter_matches(&key) || is_tracked_address(address_of(skb, cpu)))
		return 0;
	return !translating || !translated_entry(skb, direct);
}

#endif
