/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where in an skb the packet begins. */
#ifndef TRACER_PACKET_LOCATE_H
#define TRACER_PACKET_LOCATE_H

/* Whether this is a packet at all: sockets that never send any (AF_UNIX, netlink) have sk_buffs, too. */
ALWAYS int is_packet(__u16 protocol)
{
	return protocol == ETH_IP || protocol == ETH_IPV6 || protocol == ETH_ARP ||
	       protocol == ETH_8021Q || protocol == ETH_8021AD;
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
	v->outer_l3 = v->encap = 0;
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
	return v->ethertype == ETH_IP || v->ethertype == ETH_IPV6 || v->ethertype == ETH_ARP ? 0 : -1;
}

#endif
