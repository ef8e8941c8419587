/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Exactly the kernel fields that are read. `core` relocates the structs below by CO-RE; `bcc` gets
 * OFF_name (and BIT_name, HAS_name) for each FIELD_name from the running kernel's BTF. */
#ifndef TRACER_KERNEL_H
#define TRACER_KERNEL_H

#define FIELD_skb_dev struct sk_buff, dev
#define FIELD_skb_sk struct sk_buff, sk
#define FIELD_skb_iif struct sk_buff, skb_iif
#define FIELD_skb_dst struct sk_buff, _skb_refdst
#define FIELD_skb_nfct struct sk_buff, _nfct
#define FIELD_skb_len struct sk_buff, len
#define FIELD_skb_vlan_proto struct sk_buff, vlan_proto
#define FIELD_skb_vlan_tci struct sk_buff, vlan_tci
#define FIELD_skb_mark struct sk_buff, mark
#define FIELD_skb_protocol struct sk_buff, protocol
#define FIELD_skb_mac_header struct sk_buff, mac_header
#define FIELD_skb_network_header struct sk_buff, network_header
#define FIELD_skb_head struct sk_buff, head
#define FIELD_skb_data struct sk_buff, data
#define FIELD_skb_tail struct sk_buff, tail
#define FIELD_skb_end struct sk_buff, end
#define FIELD_dst_dev struct dst_entry, dev
#define FIELD_dev_name struct net_device, name
#define FIELD_dev_ifindex struct net_device, ifindex
#define FIELD_dev_net struct net_device, nd_net.net
#define FIELD_dev_priv_flags struct net_device, priv_flags
#define FIELD_sk_net struct sock, __sk_common.skc_net.net
#define FIELD_net_inum struct net, ns.inum
#define FIELD_shinfo_gso_size struct skb_shared_info, gso_size
#define FIELD_ct_tuplehash struct nf_conn, tuplehash
#define FIELD_ct_status struct nf_conn, status
#define FIELD_ct_mark struct nf_conn, mark
#define FIELD_ct_zone struct nf_conn, zone.id
#define FIELD_state_hook struct nf_hook_state, hook
#define FIELD_state_net struct nf_hook_state, net
#define FIELD_state_in struct nf_hook_state, in
#define FIELD_state_out struct nf_hook_state, out
#define FIELD_nhc_oif struct fib_nh_common, nhc_oif
#define FIELD_nhc_dev struct fib_nh_common, nhc_dev
#define FIELD_nhc_scope struct fib_nh_common, nhc_scope
#define FIELD_nhc_gw_family struct fib_nh_common, nhc_gw_family
#define FIELD_nhc_gw struct fib_nh_common, nhc_gw
#define FIELD_fl_iif struct flowi4, __fl_common.flowic_iif
#define FIELD_fl4_saddr struct flowi4, saddr
#define FIELD_fl4_daddr struct flowi4, daddr
#define FIELD_fl6_saddr struct flowi6, saddr
#define FIELD_fl6_daddr struct flowi6, daddr
#define FIELD_fib6_nh struct fib6_result, nh
#define FIELD_fib6_entry struct fib6_result, f6i
#define FIELD_fib6_type struct fib6_result, fib6_type
#define FIELD_net_no_entry struct net, ipv6.fib6_null_entry
#define FIELD_fib6_table_id struct fib6_table, tb6_id
#define FIELD_vport_dev struct vport, dev
/* Three bits. */
#define FIELD_skb_pkt_type struct sk_buff, pkt_type
/* One bit each. vlan_present went away in 6.2: from there vlan_proto says it. */
#define FIELD_skb_cloned struct sk_buff, cloned
#define FIELD_skb_vlan_present struct sk_buff, vlan_present
#define FIELD_skb_untapped struct sk_buff, tc_skip_classify

/* Read whole but for `node`: struct nf_conntrack_tuple_hash[2] (a test compares this with the
 * kernel's BTF). */
struct wire_tuple {
	__u64 node[2];
	__be32 src[4];
	__be16 src_port;	/* ICMP: the id */
	__u16 family;
	__be32 dst[4];
	__be16 dst_port;	/* ICMP: type and code */
	__u8 proto;
	__u8 direction;
};

#define IPS_SRC_NAT 0x10
#define IPS_DST_NAT 0x20
#define IPS_NAT_MASK (IPS_SRC_NAT | IPS_DST_NAT)
#define IPS_CONFIRMED 8
#define NFCT_PTRMASK (~7UL)
#define NFCT_INFOMASK 7UL
#define IP_CT_UNTRACKED 7
#define IP_CT_IS_REPLY 3
#define FIRST_NETNS_INUM 0xeffffff0u	/* PROC_NET_INIT_INO and up: tells a device from reused bytes */
#define PACKET_OUTGOING 4
#define DST_PTRMASK (~1UL)	/* SKB_DST_PTRMASK */
#define LOOPBACK_IFINDEX 1
#define NO_HEADER 0xffffu

/* enum netdev_priv_flags (linux/netdevice.h): what netif_receive_skb shows, if at all, only of broadcasts. */
#define IFF_UPPER (1 /* IFF_802_1Q_VLAN */ | 1 << 16 /* IFF_MACVLAN */ | 1 << 22 /* IFF_TEAM */)

/* What kernel functions return (asm-generic/errno.h), negative. */
enum kernel_error { EAGAIN = 11, EACCES = 13, EINVAL = 22, EHOSTUNREACH = 113 };

#ifndef TRACER_BCC
#define RELOCATED __attribute__((preserve_access_index))
struct net_common { unsigned int inum; } RELOCATED;
struct ns_common { unsigned int inum; } RELOCATED;
struct netns_ipv6 { struct fib6_info *fib6_null_entry; } RELOCATED;
struct net { struct ns_common ns; struct netns_ipv6 ipv6; } RELOCATED;
typedef struct { struct net *net; } RELOCATED possible_net_t;
struct net_device { char name[16]; unsigned int priv_flags; int ifindex; possible_net_t nd_net; } RELOCATED;
struct dst_entry { struct net_device *dev; } RELOCATED;
struct sock_common { possible_net_t skc_net; } RELOCATED;
struct sock { struct sock_common __sk_common; } RELOCATED;
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst, _nfct;
	unsigned int len;
	int skb_iif;
	__u8 pkt_type : 3;
	__u8 cloned : 1;
	__u8 vlan_present : 1;
	__u8 tc_skip_classify : 1;
	__be16 vlan_proto;
	__u16 vlan_tci;
	__u32 mark;
	__be16 protocol;
	__u16 network_header, mac_header;
	unsigned int tail, end;
	unsigned char *head, *data;
} RELOCATED;
struct skb_shared_info { unsigned short gso_size; } RELOCATED;
struct nf_conntrack_zone { __u16 id; } RELOCATED;
struct nf_conntrack_tuple_hash { __u64 opaque; };
struct nf_conn {
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	__u32 mark;
} RELOCATED;
struct nf_hook_state {
	__u8 hook;
	struct net_device *in, *out;
	struct net *net;
} RELOCATED;
struct fib_nh_common {
	struct net_device *nhc_dev;
	int nhc_oif;
	__u8 nhc_scope, nhc_gw_family;
	union { __be32 ipv4; __be32 ipv6[4]; } nhc_gw;
} RELOCATED;
struct flowi_common { int flowic_iif; } RELOCATED;
struct flowi4 { struct flowi_common __fl_common; __be32 saddr, daddr; } RELOCATED;
struct in6_addr { __be32 words[4]; };
struct flowi6 { struct in6_addr daddr, saddr; } RELOCATED;
struct fib6_nh { struct fib_nh_common nh_common; } RELOCATED;
struct fib6_result { struct fib6_nh *nh; struct fib6_info *f6i; __u8 fib6_type; } RELOCATED;
struct fib6_table { __u32 tb6_id; } RELOCATED;
struct vport { struct net_device *dev; } RELOCATED;
enum skb_drop_reason { SKB_DROP_REASON_NOT_SPECIFIED_LOCAL };
#endif

/* Arguments and result in struct pt_regs, by the calling convention of each machine. */
#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
#define ARGUMENT1(ctx) ((ctx)[14])
#define ARGUMENT2(ctx) ((ctx)[13])
#define ARGUMENT3(ctx) ((ctx)[12])
#define ARGUMENT4(ctx) ((ctx)[11])
#define RESULT(ctx) ((ctx)[10])
#define HAVE_PT_REGS 1
#elif defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
#define ARGUMENT1(ctx) ((ctx)[0])
#define ARGUMENT2(ctx) ((ctx)[1])
#define ARGUMENT3(ctx) ((ctx)[2])
#define ARGUMENT4(ctx) ((ctx)[3])
#define RESULT(ctx) ((ctx)[0])
#define HAVE_PT_REGS 1
#else
#define HAVE_PT_REGS 0
#endif

/* The context of a BPF netfilter program; fixed by the kernel's verifier, so not relocated. */
struct netfilter_context {
	struct nf_hook_state *state;
	struct sk_buff *skb;
};

#endif
