/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where in an skb the packet begins. */
#ifndef TRACER_PACKET_LOCATE_H
#define TRACER_PACKET_LOCATE_H

enum mpls_constant { MPLS_LABELS = 8, MPLS_BOTTOM = 1 << 8 };

/* Whether this is a packet at all: sockets that never send any (AF_UNIX, netlink) have sk_buffs, too. */
ALWAYS int is_packet(__u16 protocol)
{
	return protocol == ETH_IP || protocol == ETH_IPV6 || protocol == ETH_ARP ||
	       protocol == ETH_8021Q || protocol == ETH_8021AD || protocol == ETH_MPLS;
}

/* Steps over MPLS labels (RFC 3032); what follows is told by its first bits (RFC 4928). */
SLOW int skip_labels(struct view *v)
{
	__u32 entry;
	__u8 first;

	for (int i = 0; i < MPLS_LABELS; i++) {
		if (read_at(v, &entry, sizeof(entry), v->l3))
			return -1;
		entry = bpf_ntohl_(entry);
		if (!v->labels)
			v->label = entry >> 12;
		v->l3 += 4;
		v->labels++;
		if (entry & MPLS_BOTTOM)
			break;
	}
	if (!(entry & MPLS_BOTTOM) || read_at(v, &first, sizeof(first), v->l3))
		return -1;
	v->ethertype = first >> 4 == 4 ? ETH_IP : first >> 4 == 6 ? ETH_IPV6 : 0;
	return 0;
}

/* Finds the network header. Before netif_receive_skb it is where the data begins (the offset in the
 * skb may be a former device's); everywhere else the kernel has set it. */
ALWAYS int locate(struct view *v, void *skb, const int direct, const int at_data)
{
	void *head;
	__u16 protocol, offset;
	unsigned int tail;

	LOAD(direct, protocol, skb, skb_protocol);
	protocol = bpf_ntohs_(protocol);
	if (!is_packet(protocol))
		return -1;
	LOAD(direct, head, skb, skb_head);
	LOAD(direct, tail, skb, skb_tail);
	v->head = (unsigned long)head;
	v->tail = tail;
	v->ethertype = protocol;
	v->outer_l3 = v->encap = v->labels = 0;
	if (at_data) {
		void *data;

		LOAD(direct, data, skb, skb_data);
		v->l3 = (unsigned long)data - (unsigned long)head;
		if (protocol == ETH_8021Q || protocol == ETH_8021AD)
			skip_tags(v, protocol);
	} else {
		LOAD(direct, offset, skb, skb_network_header);
		v->l3 = offset;
		if (protocol == ETH_8021Q || protocol == ETH_8021AD) {
			__u16 type;

			if (offset < 2 || read_at(v, &type, sizeof(type), offset - 2))
				return -1;
			v->ethertype = bpf_ntohs_(type);
		}
	}
	if (v->ethertype == ETH_MPLS && skip_labels(v))
		return -1;
	return v->ethertype == ETH_IP || v->ethertype == ETH_IPV6 || v->ethertype == ETH_ARP ? 0 : -1;
}

#endif
