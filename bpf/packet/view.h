/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet while a program looks at it, and how its bytes are read. */
#ifndef TRACER_PACKET_VIEW_H
#define TRACER_PACKET_VIEW_H

#define ETH_IP 0x0800
#define ETH_IPV6 0x86dd
#define ETH_ARP 0x0806
#define ETH_8021Q 0x8100
#define ETH_8021AD 0x88a8
#define ETH_TEB 0x6558
#define ETH_MPLS 0x8847
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
	__u32 quoted_id;	/* IPv4 id of the packet that an ICMP error quotes, or of its fragment */
	__u32 quoted_l4;	/* transport header that an ICMP error quotes, 0: no ports nor id of it */
	__u16 ethertype;
	__u8 proto, encap;
	__u8 error, later_fragment;
	__u8 icmp_type, has_key;	/* has_key: the GRE key is there */
	__u8 outer_version, quoted_proto;
	__u8 quoted_frag;	/* whether the quoted packet is a fragment */
	__u8 labels;		/* MPLS labels before the outermost network header */
	__u32 label;		/* the first of them */
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

#endif
