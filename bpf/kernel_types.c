/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Makes a compiler meet every struct of bpf/kernel.h, so that it describes them (headers.py). */
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/flow.h>
#include <net/ip6_fib.h>
#include <net/ip_fib.h>
#include <net/net_namespace.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>

struct kept {
	struct sk_buff sk_buff;
	struct skb_shared_info skb_shared_info;
	struct net_device net_device;
	struct dst_entry dst_entry;
	struct sock sock;
	struct net net;
	struct nf_conn nf_conn;
	struct nf_hook_state nf_hook_state;
	struct fib_nh_common fib_nh_common;
	struct flowi4 flowi4;
	struct flowi6 flowi6;
	struct fib6_result fib6_result;
	struct fib6_table fib6_table;
	struct pt_regs pt_regs;
	enum skb_drop_reason reason;
} kept;
