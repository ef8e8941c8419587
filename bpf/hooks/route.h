/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Routing decisions: fib_table_lookup, fib6_table_lookup. */
#ifndef TRACER_HOOKS_ROUTE_H
#define TRACER_HOOKS_ROUTE_H

/* Types of routes that lead to this host itself, or nowhere (linux/rtnetlink.h). */
enum route_type { RTN_LOCAL = 2, RTN_BLACKHOLE = 6, RTN_UNREACHABLE = 7, RTN_PROHIBIT = 8, RTN_THROW = 9 };

/* The scope of the next hop of an IPv4 route to an address of this host, and of no other (fib_create_info). */
enum route_scope { RT_SCOPE_NOWHERE = 255 };

struct route {
	struct flow_key asked;
	__u64 net;	/* the namespace, 0: not known */
	__u64 gateway_hi, gateway_lo;
	__u32 table;
	__s32 oif, iif, error;
};

ALWAYS int is_about(const struct route *route, const struct flow_key *key)
{
	return key->src_hi == route->asked.src_hi && key->src_lo == route->asked.src_lo &&
	       key->dst_hi == route->asked.dst_hi && key->dst_lo == route->asked.dst_lo;
}

/* Whether the outermost IP header of a packet has the addresses that were asked for. */
SLOW int has_addresses(void *skb, const struct route *route)
{
	struct flow_key key;
	__u16 protocol, offset;
	__u64 w[4];
	void *head;

	LOAD(0, protocol, skb, skb_protocol);
	LOAD(0, head, skb, skb_head);
	LOAD(0, offset, skb, skb_network_header);
	if (read_words(w, head + offset + 8, 4))
		return 0;
	if (protocol == bpf_ntohs_(ETH_IP)) {
		key_v4(&key, w[0] >> 32, (__u32)w[1]);
	} else {
		key.src_hi = bpf_ntohll_(w[0]);
		key.src_lo = bpf_ntohll_(w[1]);
		key.dst_hi = bpf_ntohll_(w[2]);
		key.dst_lo = bpf_ntohll_(w[3]);
	}
	return is_about(route, &key);
}

/* Whether a packet came by the device that was named when its route was looked up. What a socket has got
 * is at no device any more; what the host itself sends comes by the loopback device. */
ALWAYS int is_there(void *skb, const struct route *route)
{
	__u32 ifindex = 0;
	void *dev, *net;

	LOAD(0, dev, skb, skb_dev);
	if (!dev)
		return 0;
	LOAD(0, ifindex, dev, dev_ifindex);
	if (ifindex != route->iif)
		return 0;
	LOAD(0, net, dev, dev_net);
	return !route->net || route->net == (unsigned long)net;
}

SLOW int show_about(struct view *v, void *skb, const struct route *route, struct cpu *cpu)
{
	struct place at = { .hook = HOOK_ROUTE };
	struct event *e;

	cpu->count.matched++;
	LOAD(0, at.dev, skb, skb_dev);
	e = begin(v, skb, &at, cpu, 0);
	if (!e)
		return 0;
	e->aux = AUX_ROUTE;
	e->route_gateway_hi = route->gateway_hi;
	e->route_gateway_lo = route->gateway_lo;
	e->route_table = route->table;
	e->route_oif = route->oif;
	e->route_iif = route->iif;
	e->route_error = route->error;
	finish(e, cpu);
	return 0;
}

SLOW int show_route_of(void *skb, const struct route *route)
{
	struct cpu *cpu = this_cpu();
	struct view *v = start(cpu);

	if (!v)
		return 0;
	if (!locate(v, skb, 0, 0) && !read_l3(v))
		show_about(v, skb, route, cpu);
	return end(cpu);
}

/* Which of the packets that this CPU received last a routing decision is about, 0 if none: several come in
 * before the first of them is routed (netif_receive_skb_list). Of equal ones the kernel may route one for all. */
SLOW __u64 find_routed(const struct route *route)
{
	struct cpu *cpu = this_cpu();

	if (!cpu)
		return 0;
	for (int i = 0; i < ROUTED; i++) { /* the earliest first, as the kernel does */
		__u32 at = (cpu->received + i) % ROUTED;
		__u64 skb = cpu->routed[at];

		if (!skb || !is_there((void *)(unsigned long)skb, route) ||
		    !has_addresses((void *)(unsigned long)skb, route))
			continue;
		if (!route->error)
			cpu->routed[at] = 0;
		return skb;
	}
	return 0;
}

/* Finding comes first, and is over then: both would need more stack than a program may have. */
ALWAYS int show_route(const struct route *route)
{
	__u64 skb = find_routed(route);

	return skb ? show_route_of((void *)(unsigned long)skb, route) : 0;
}

/* A route to this host itself names the device that has the address; what takes it goes to the loopback
 * device (ip_rt_get_dev, ip6_rt_get_dev_rcu). */
SLOW int read_next_hop(struct route *route, void *nhc)
{
	__be32 gateway[4] = {};
	__u8 family = 0, scope = 0;
	void *dev = 0;

	if (!nhc)
		return 0;
	LOAD(0, dev, nhc, nhc_dev);
	if (dev)
		LOAD(0, route->net, dev, dev_net);
	LOAD(0, route->oif, nhc, nhc_oif);
	LOAD(0, scope, nhc, nhc_scope);
	if (scope == RT_SCOPE_NOWHERE)
		route->oif = LOOPBACK_IFINDEX;
	LOAD(0, family, nhc, nhc_gw_family);
	bpf_probe_read_kernel(gateway, sizeof(gateway), ADDRESS(nhc, nhc_gw));
	if (family)
		ct_address(gateway, family, &route->gateway_hi, &route->gateway_lo);
	return 0;
}

ALWAYS int at_route4(__u32 table, void *flow, void *nhc, int error)
{
	struct cpu *cpu = this_cpu();
	struct route route = {};
	__be32 src = 0, dst = 0;

	if (!cpu || !cpu->unrouted)
		return 0;
	LOAD(0, src, flow, fl4_saddr);
	LOAD(0, dst, flow, fl4_daddr);
	key_v4(&route.asked, src, dst);
	LOAD(0, route.iif, flow, fl_iif);
	route.table = table;
	route.error = error;
	read_next_hop(&route, nhc);
	return show_route(&route);
}

/* What the kernel makes of a lookup (fib6_prop): 0, or -errno as for IPv4. A table without an answer has the
 * namespace's null entry, which is of the type unreachable, and the next table is asked. */
ALWAYS int error_of_route6(void *net, void *result)
{
	void *entry = 0, *none = 0;
	__u8 type = 0;

	LOAD(0, entry, result, fib6_entry);
	if (HAS(net_no_entry)) /* not in a kernel without IPv6 */
		LOAD(0, none, net, net_no_entry);
	LOAD(0, type, result, fib6_type);
	if (entry == none || type == RTN_THROW)
		return -EAGAIN;
	if (type == RTN_BLACKHOLE)
		return -EINVAL;
	if (type == RTN_UNREACHABLE)
		return -EHOSTUNREACH;
	return type == RTN_PROHIBIT ? -EACCES : 0;
}

ALWAYS int at_route6(void *net, void *result, void *table, void *flow)
{
	struct cpu *cpu = this_cpu();
	struct route route = {};
	__be32 address[4] = {};
	void *next_hop = 0;
	__u8 type = 0;

	if (!cpu || !cpu->unrouted)
		return 0;
	bpf_probe_read_kernel(address, sizeof(address), ADDRESS(flow, fl6_saddr));
	ct_address(address, 10, &route.asked.src_hi, &route.asked.src_lo);
	bpf_probe_read_kernel(address, sizeof(address), ADDRESS(flow, fl6_daddr));
	ct_address(address, 10, &route.asked.dst_hi, &route.asked.dst_lo);
	LOAD(0, route.iif, flow, fl_iif);
	LOAD(0, route.table, table, fib6_table_id);
	route.net = (unsigned long)net;
	route.error = error_of_route6(net, result);
	if (route.error)
		return show_route(&route);
	LOAD(0, next_hop, result, fib6_nh);
	if (next_hop)
		read_next_hop(&route, next_hop); /* fib_nh_common is its first member */
	LOAD(0, type, result, fib6_type);
	if (type == RTN_LOCAL)
		route.oif = LOOPBACK_IFINDEX;
	return show_route(&route);
}

PROGRAM("raw_tp/fib_table_lookup", route4_raw, __u64)
{
	return at_route4(ctx[0], (void *)ctx[1], (void *)ctx[2], ctx[3]);
}

PROGRAM("raw_tp/fib6_table_lookup", route6_raw, __u64)
{
	return at_route6((void *)ctx[0], (void *)ctx[1], (void *)ctx[2], (void *)ctx[3]);
}

#endif
