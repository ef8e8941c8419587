/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From an skb to the key of its flow, in as few reads as can be. */
#ifndef TRACER_PACKET_H
#define TRACER_PACKET_H

#define ETH_IP 0x0800
#define ETH_IPV6 0x86dd
#define ETH_ARP 0x0806
#define ETH_8021Q 0x8100
#define ETH_8021AD 0x88a8
#define ETH_TEB 0x6558
#define V4_PREFIX 0xffff00000000ULL

#define IP_ICMP 1
#define IP_IPIP 4
#define IP_TCP 6
#define IP_UDP 17
#define IP_IPV6 41
#define IP_GRE 47
#define IP_ICMPV6 58
#define IP_SCTP 132

#define VXLAN_PORT 4789
#define VXLAN_OLD_PORT 8472
#define GENEVE_PORT 6081

enum encap { ENCAP_NONE, ENCAP_VXLAN, ENCAP_GENEVE, ENCAP_GRE, ENCAP_NVGRE, ENCAP_IPIP, ENCAP_SIT,
	     ENCAP_IP6TNL };

#define L3_WORDS 7	/* 56 bytes: IPv4, TCP and its timestamps; or IPv6 and 16 bytes more */

/* One packet while a program looks at it; offsets count from skb->head. */
struct view {
	struct flow_key key;	/* of the packet, or of the quoted packet when `error` */
	__u64 head;
	__u64 bytes[L3_WORDS];	/* from the IP or ARP header on */
	__u32 l3, l4, tail;
	__u32 signature;	/* what NAT and forwarding leave alone; tells reuse of an skb address */
	__u32 ip_id;
	__u32 frag;
	__u32 outer_l3;		/* 0: no tunnel */
	__u32 vni;
	__u32 outer_port;	/* UDP header of the tunnel, 0: none */
	__u16 ethertype;
	__u8 proto, encap;
	__u8 error, later_fragment;
	__u8 icmp_type, has_key;	/* has_key: the GRE key is there */
	__u8 outer_version, pad[3];
};

#define BYTE(v, n) (((const __u8 *)(v)->bytes)[n])
#define HALF(v, n) bpf_ntohs_(((const __u16 *)(v)->bytes)[(n) / 2])
#define bpf_ntohs_(x) ((__u16)__builtin_bswap16(x))
#define bpf_ntohl_(x) ((__u32)__builtin_bswap32(x))
#define bpf_ntohll_(x) __builtin_bswap64(x)

ALWAYS int read_at(const struct view *v, void *to, const __u32 size, __u32 offset)
{
	/* Up to `size` bytes behind the end of the data still lie in skb_shared_info: readable. */
	if (offset >= v->tail)
		return -1;
	if (size % 8 == 0)
		return read_words(to, (void *)(unsigned long)(v->head + offset), size / 8);
	return bpf_probe_read_kernel(to, size, (void *)(unsigned long)(v->head + offset));
}

ALWAYS int has_ports(__u8 proto)
{
	return proto == IP_TCP || proto == IP_UDP || proto == IP_SCTP;
}

ALWAYS void key_v4(struct flow_key *key, __u32 src, __u32 dst)
{
	key->src_hi = 0;
	key->src_lo = V4_PREFIX | bpf_ntohl_(src);
	key->dst_hi = 0;
	key->dst_lo = V4_PREFIX | bpf_ntohl_(dst);
}

/* Steps over VLAN tags that are still in the data; returns how many there were. */
SLOW int skip_tags(struct view *v, __u16 protocol)
{
	__u16 tag[2];
	int tags = 0;

	for (int i = 0; i < 2; i++) {
		if (protocol != ETH_8021Q && protocol != ETH_8021AD)
			break;
		if (read_at(v, tag, sizeof(tag), v->l3))
			break;
		protocol = bpf_ntohs_(tag[1]);
		v->l3 += 4;
		tags++;
	}
	v->ethertype = protocol;
	return tags;
}

/* Walks IPv6 extension headers from v->l4 on; leaves v->proto and v->l4 at the transport header. */
SLOW int skip_extensions(struct view *v)
{
	for (int i = 0; i < 6; i++) {
		__u8 head[8] __attribute__((aligned(8)));

		if (v->proto != 0 && v->proto != 43 && v->proto != 44 && v->proto != 60 &&
		    v->proto != 51)
			return 0;
		if (read_at(v, head, sizeof(head), v->l4))
			return -1;
		if (v->proto == 44) {
			__u16 offset = head[2] << 8 | head[3];

			v->ip_id = (__u32)head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7];
			v->frag = (offset >> 3) | (offset & 1 ? 0x2000 : 0) | 0x10000;
			v->l4 += 8;
		} else {
			v->l4 += v->proto == 51 ? (head[1] + 2) * 4 : (head[1] + 1) * 8;
		}
		v->proto = head[0];
		if (v->frag & 0x1fff)
			return 0;
	}
	return 0;
}

ALWAYS int is_icmp_error(__u8 proto, __u8 type)
{
	if (proto == IP_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return proto == IP_ICMPV6 && type >= 1 && type <= 4;
}

ALWAYS int is_echo(__u8 proto, __u8 type)
{
	if (proto == IP_ICMP)
		return type == 8 || type == 0 || type == 13 || type == 14;
	return proto == IP_ICMPV6 && (type == 128 || type == 129);
}

/* Ports or ICMP id of the 8 bytes at a transport header. */
ALWAYS void key_l4(struct view *v, __u64 first)
{
	__u16 half0 = bpf_ntohs_((__u16)first), half1 = bpf_ntohs_((__u16)(first >> 16));

	v->key.sport = v->key.dport = 0;
	if (v->proto == IP_TCP || v->proto == IP_UDP || v->proto == IP_SCTP) {
		v->key.sport = half0;
		v->key.dport = half1;
		/* TCP: the sequence number; UDP: the length. */
		v->signature = v->proto == IP_TCP ? (__u32)(first >> 32) : (__u16)(first >> 32);
	} else if (v->proto == IP_ICMP || v->proto == IP_ICMPV6) {
		v->icmp_type = first & 0xff;
		v->error = is_icmp_error(v->proto, v->icmp_type);
		v->signature = (__u32)(first >> 48) << 16 | half0;
		if (is_echo(v->proto, v->icmp_type))
			v->key.sport = v->key.dport = bpf_ntohs_((__u16)(first >> 32));
	}
	v->signature ^= v->ip_id << 8 ^ v->proto;
}

/* The key of the packet that an ICMP error quotes: errors belong to the flow they speak of. */
SLOW int quoted_key(struct view *v)
{
	__u64 first = 0;
	__u64 bytes[5];
	__u32 l3 = v->l4 + 8, l4;
	__u8 proto;

	if (read_at(v, bytes, sizeof(bytes), l3))
		return -1;
	if (v->proto == IP_ICMP) {
		key_v4(&v->key, bytes[1] >> 32, (__u32)bytes[2]);
		proto = bytes[1] >> 8 & 0xff;
		l4 = l3 + (bytes[0] & 0xf) * 4;
	} else {
		v->key.src_hi = bpf_ntohll_(bytes[1]);
		v->key.src_lo = bpf_ntohll_(bytes[2]);
		v->key.dst_hi = bpf_ntohll_(bytes[3]);
		v->key.dst_lo = bpf_ntohll_(bytes[4]);
		proto = bytes[0] >> 48 & 0xff;
		l4 = l3 + 40;
	}
	v->key.proto = proto;
	v->key.sport = v->key.dport = 0;
	if (read_at(v, &first, sizeof(first), l4))
		return 0;
	if (proto == IP_ICMP || proto == IP_ICMPV6) {
		v->key.sport = v->key.dport = bpf_ntohs_((__u16)(first >> 32));
	} else {
		v->key.sport = bpf_ntohs_((__u16)first);
		v->key.dport = bpf_ntohs_((__u16)(first >> 16));
	}
	return 0;
}

ALWAYS int read_v4(struct view *v)
{
	__u64 first = v->bytes[2] >> 32 | v->bytes[3] << 32;
	__u32 ihl = (v->bytes[0] & 0xf) * 4;

	key_v4(&v->key, v->bytes[1] >> 32, (__u32)v->bytes[2]);
	v->proto = v->bytes[1] >> 8 & 0xff;
	v->ip_id = bpf_ntohs_((__u16)(v->bytes[0] >> 32));
	v->frag = bpf_ntohs_((__u16)(v->bytes[0] >> 48));
	v->l4 = v->l3 + ihl;
	v->key.proto = v->proto;
	if (!(opt_protocols >> (v->proto & 63) & 1))
		return -1;
	if (v->frag & 0x1fff)
		return 0;
	if (ihl != 20 && read_at(v, &first, sizeof(first), v->l4))
		return -1;
	key_l4(v, first);
	return 0;
}

ALWAYS int read_v6(struct view *v)
{
	__u64 first = v->bytes[5];

	v->key.src_hi = bpf_ntohll_(v->bytes[1]);
	v->key.src_lo = bpf_ntohll_(v->bytes[2]);
	v->key.dst_hi = bpf_ntohll_(v->bytes[3]);
	v->key.dst_lo = bpf_ntohll_(v->bytes[4]);
	v->proto = v->bytes[0] >> 48 & 0xff;
	v->l4 = v->l3 + 40;
	if (v->proto != IP_TCP && v->proto != IP_UDP && v->proto != IP_ICMPV6) {
		if (skip_extensions(v))
			return -1;
		if (read_at(v, &first, sizeof(first), v->l4))
			first = 0;
	}
	v->key.proto = v->proto;
	if (!(opt_protocols >> (v->proto & 63) & 1))
		return -1;
	if (v->frag & 0x1fff)
		return 0;
	key_l4(v, first);
	return 0;
}

ALWAYS void read_arp(struct view *v)
{
	/* Sender MAC at 8, sender IP at 14, target MAC at 18, target IP at 24. */
	__u32 sender = (__u32)(v->bytes[1] >> 48) | (__u32)(v->bytes[2] & 0xffff) << 16;

	key_v4(&v->key, sender, (__u32)v->bytes[3]);
	v->key.kind = KEY_ARP;
	v->key.sport = v->key.dport = 0;
	v->key.proto = 0;
}

/* Reads the network header at v->l3. Returns 0 when v->key is filled. */
ALWAYS int read_l3(struct view *v)
{
	v->frag = v->ip_id = v->signature = 0;
	v->error = v->later_fragment = v->icmp_type = 0;
	v->key.kind = KEY_FLOW;
	v->key.pad = 0;
	if (read_at(v, v->bytes, sizeof(v->bytes), v->l3))
		return -1;
	if (v->ethertype == ETH_IP) {
		if (read_v4(v))
			return -1;
	} else if (v->ethertype == ETH_IPV6) {
		if (read_v6(v))
			return -1;
	} else {
		read_arp(v);
		return 0;
	}
	if (v->frag & 0x1fff) {
		v->later_fragment = 1;
		v->key.kind = KEY_FRAGMENT;
		v->key.sport = v->ip_id;
		v->key.dport = v->ip_id >> 16;
		v->signature = v->ip_id ^ v->frag;
		return 0;
	}
	if (v->error)
		return quoted_key(v);
	return 0;
}

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

/* Finds the network header. Before netif_receive_skb it is where the data begins (the offset in the
 * skb may be a former device's); everywhere else the kernel has set it. */
ALWAYS int locate(struct view *v, void *skb, const int direct, const int at_data)
{
	void *head;
	__u16 protocol, offset;
	unsigned int tail;

	LOAD(direct, protocol, skb, skb_protocol);
	protocol = bpf_ntohs_(protocol);
	if (protocol != ETH_IP && protocol != ETH_IPV6 && protocol != ETH_ARP &&
	    protocol != ETH_8021Q && protocol != ETH_8021AD)
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
