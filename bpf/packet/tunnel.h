/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Into VXLAN, Geneve, GRE and IP in IP: the key is that of the packet inside. */
#ifndef TRACER_PACKET_TUNNEL_H
#define TRACER_PACKET_TUNNEL_H

/* What follows a tunnel header at `at`: an Ethernet frame (ETH_TEB) or an IP packet. */
SLOW int enter_inner(struct view *v, __u32 at, __u32 protocol)
{
	__u32 outer = v->l3;

	if (protocol == ETH_TEB) {
		__u16 type;

		if (read_at(v, &type, sizeof(type), at + 12))
			return -1;
		v->l3 = at + 14;
		skip_tags(v, bpf_ntohs_(type));
	} else {
		v->l3 = at;
		v->ethertype = protocol;
	}
	if (v->ethertype != ETH_IP && v->ethertype != ETH_IPV6 && v->ethertype != ETH_ARP)
		return -1;
	v->outer_l3 = outer;
	return 0;
}

SLOW int enter_gre(struct view *v, __u32 at)
{
	__u64 head;
	__u32 flags, size = 4;

	if (read_at(v, &head, sizeof(head), at))
		return -1;
	flags = bpf_ntohs_((__u16)head);
	if (flags & 0x8000)
		size += 4;
	if (flags & 0x2000) {
		__u32 key;

		if (read_at(v, &key, sizeof(key), at + size))
			return -1;
		v->vni = bpf_ntohl_(key);
		v->has_key = 1;
		size += 4;
	}
	if (flags & 0x1000)
		size += 4;
	v->encap = ENCAP_GRE;
	return enter_inner(v, at + size, bpf_ntohs_((__u16)(head >> 16)));
}

/* Goes into a tunnel when the packet is one. Returns 0 when v->key is now the inner packet's. */
SLOW int enter_tunnel(struct view *v)
{
	__u64 head;
	__u16 port = v->key.dport;
	int entered;

	v->outer_version = v->ethertype == ETH_IP ? 4 : 6;
	v->vni = v->has_key = 0;
	v->outer_port = 0;
	if (v->proto == IP_GRE) {
		entered = enter_gre(v, v->l4);
	} else if (v->proto == IP_IPIP || v->proto == IP_IPV6) {
		v->encap = v->outer_version == 6 ? ENCAP_IP6TNL :
			   v->proto == IP_IPIP ? ENCAP_IPIP : ENCAP_SIT;
		entered = enter_inner(v, v->l4, v->proto == IP_IPIP ? ETH_IP : ETH_IPV6);
	} else {
		__u32 size = 16;	/* UDP and the tunnel's fixed 8 bytes */
		__u16 protocol = ETH_TEB;

		v->outer_port = v->l4;
		if (read_at(v, &head, sizeof(head), v->l4 + 8))
			return -1;
		v->vni = bpf_ntohl_((__u32)(head >> 32)) >> 8;
		v->encap = ENCAP_VXLAN;
		if (port == GENEVE_PORT) {
			v->encap = ENCAP_GENEVE;
			size += (head & 0x3f) * 4;
			protocol = bpf_ntohs_((__u16)(head >> 16));
		} else if (!(head & 0x08)) {
			return -1;
		}
		entered = enter_inner(v, v->l4 + size, protocol);
	}
	return entered || read_l3(v);
}

ALWAYS int is_tunnel_port(__u16 port)
{
	return port == VXLAN_PORT || port == GENEVE_PORT || port == VXLAN_OLD_PORT;
}

ALWAYS int is_tunnel(const struct view *v)
{
	if (v->ethertype == ETH_ARP || v->later_fragment)
		return 0;
	if (v->proto == IP_UDP)
		return is_tunnel_port(v->key.dport);
	return v->proto == IP_GRE || v->proto == IP_IPIP || v->proto == IP_IPV6;
}

#endif
