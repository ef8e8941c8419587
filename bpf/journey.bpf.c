// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Where packets are seen. Each hook asks the cheapest question first and leaves as soon as it can. */
#include "engine.h"
#include "packet.h"
#include "flow.h"
#include "record.h"

/* Keeps what user space shares in the object's BTF, from which event_layout.py is generated. */
struct layout {
	struct event event;
	struct cpu cpu;
	struct flow_state state;
	enum event_constant version;
	enum event_hook hook;
	enum event_flag flag;
	enum event_aux aux;
	enum event_nat_hook nat_hook;
	enum event_nat_source nat_source;
	enum flow_kind kind;
	enum filter_term term;
	enum filter_constant alternatives;
	enum bloom_constant bloom;
	enum nesting_constant nesting;
	struct view view;
	struct options options;
};
KEEP_TYPE(struct layout);

/* The key of one tuple (0 original, 1 reply) of a conntrack entry. */
SLOW int entry_key(__u64 ct, __u32 which, struct flow_key *key)
{
	struct wire_tuple tuple;

	if (read_tuple(ct, which & 1, &tuple))
		return -1;
	tuple_key(&tuple, key);
	return 0;
}

/* Adds the keys of a packet's translations: both tuples of its conntrack entry, both ways. */
SLOW int learn_tuples(__u64 ct)
{
	struct flow_key key;

	if (!entry_key(ct, 0, &key))
		add_both(&key);
	if (!entry_key(ct, 1, &key))
		add_both(&key);
	return 0;
}

/* Whether the user's filter takes either tuple of a translated packet's conntrack entry. */
SLOW int filter_takes_translation(__u64 ct)
{
	struct flow_key key;

	if (!entry_key(ct, 0, &key) && filter_matches(&key))
		return 1;
	return !entry_key(ct, 1, &key) && filter_matches(&key);
}

ALWAYS __u64 translated_entry(void *skb, const int direct)
{
	unsigned long nfct = 0, status = 0;
	void *ct;

	LOAD(direct, nfct, skb, skb_nfct);
	ct = (void *)(nfct & NFCT_PTRMASK);
	if (!ct)
		return 0;
	LOAD(0, status, ct, ct_status);
	return status & IPS_NAT_MASK ? (unsigned long)ct : 0;
}

/* The slow half of matching, for packets that are taken: remember what they may become. */
SLOW int remember(const struct view *v, __u64 ct)
{
	struct flow_state *state = find_flow(&v->key);
	struct flow_key part;

	if (!state) {
		add_both(&v->key);
		state = find_flow(&v->key);
	}
	if (v->frag & 0x2000 && !v->later_fragment) {
		part = v->key;
		part.kind = KEY_FRAGMENT;
		part.sport = v->ip_id;
		part.dport = v->ip_id >> 16;
		add_both(&part);
	}
	if (ct && state && state->ct != ct) {
		learn_tuples(ct);
		state->ct = ct;
	}
	return 0;
}

/* Whether this packet is to be shown. `v->key` is filled; `translating`: the hook sees conntrack;
 * `learning`: what comes of the packet is to be followed, too. */
ALWAYS int taken(struct view *v, void *skb, const int direct, const int translating,
		 const int learning, struct cpu *cpu)
{
	__u64 ct = 0;
	struct flow_state *state;

	if (opt_match_all)
		goto take;
	/* Taken at an earlier hook, which has learnt its addresses. */
	if (!learning && is_tracked(address_of(skb, cpu), v->signature))
		goto take;
	if (translating)
		ct = translated_entry(skb, direct);
	state = find_flow(&v->key);
	if (state && (!ct || state->ct == ct) && !(v->frag & 0x2000))
		goto take;
	if (!state && !filter_matches(&v->key) && !is_tracked(address_of(skb, cpu), v->signature) &&
	    !(ct && filter_takes_translation(ct)))
		return 0;
	remember(v, ct);
take:
	cpu->count.matched++;
	return 1;
}

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

	if (opt_match_all)
		return 0;
	LOAD(direct, protocol, skb, skb_protocol);
	if (protocol != bpf_ntohs_(ETH_IP))
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

/* Fills the view's key; goes into tunnels. Returns 0 when there is a key to ask about. */
ALWAYS int identify(struct view *v, void *skb, const int direct, const int at_data,
		    struct cpu *cpu)
{
	if (locate(v, skb, direct, at_data))
		return -1;
	if (read_l3(v)) {
		if (v->l3 >= v->tail)
			cpu->count.unreadable++;
		return -1;
	}
	if (opt_tunnels && is_tunnel(v) && !find_flow(&v->key)) {
		__u32 l3 = v->l3;
		__u16 ethertype = v->ethertype;

		if (enter_tunnel(v)) {
			v->l3 = l3;
			v->ethertype = ethertype;
			v->outer_l3 = v->encap = 0;
			return read_l3(v);
		}
	}
	return 0;
}

SLOW int show_typed(const struct view *v, void *skb, const struct place *at, struct cpu *cpu)
{
	struct event *e = begin(v, skb, at, cpu, 1);

	if (e)
		finish(e, cpu);
	return 0;
}

SLOW int show_untyped(const struct view *v, void *skb, const struct place *at, struct cpu *cpu)
{
	struct event *e = begin(v, skb, at, cpu, 0);

	if (e)
		finish(e, cpu);
	return 0;
}

ALWAYS int show(const struct view *v, void *skb, const struct place *at, struct cpu *cpu,
		const int direct)
{
	return direct ? show_typed(v, skb, at, cpu) : show_untyped(v, skb, at, cpu);
}

/* Seen at a device, going in or out. */
ALWAYS int at_device(void *skb, void *dev, const int hook, const int direct)
{
	const int translating = hook == HOOK_XMIT || hook == HOOK_QUEUE;
	struct place at = { .hook = hook, .dev = dev };
	struct cpu *cpu = this_cpu();
	struct view *v;

	if (!cpu)
		return 0;
	if (opt_route && hook == HOOK_RECEIVE)
		cpu->routed = 0;
	if (is_stranger(skb, direct, hook == HOOK_RECEIVE, translating, cpu)) {
		cpu->count.seen++;
		return 0;
	}
	v = start(cpu);
	if (!v)
		return 0;
	if (!identify(v, skb, direct, hook == HOOK_RECEIVE, cpu) &&
	    taken(v, skb, direct, translating, translating, cpu)) {
		track(address_of(skb, cpu), v->signature, cpu);
		if (opt_route && hook == HOOK_RECEIVE)
			cpu->routed = address_of(skb, cpu);
		show(v, skb, &at, cpu, direct);
	}
	return end(cpu);
}

/* The device that holds a buffer being freed, and the namespace of its socket where it has none. */
ALWAYS void holder(struct place *at, void *skb, const int direct)
{
	void *sk = 0;

	LOAD(direct, at->dev, skb, skb_dev);
	LOAD(direct, sk, skb, skb_sk);
	if (sk)
		LOAD(direct, at->net, sk, sk_net);
}

ALWAYS int at_kfree(void *skb, __u64 location, __u32 reason, const int direct)
{
	struct place at = { .hook = HOOK_KFREE, .location = location, .reason = reason };
	struct cpu *cpu = this_cpu();
	struct view *v;

	if (!cpu)
		return 0;
	if (is_stranger(skb, direct, 0, 1, cpu)) {
		cpu->count.seen++;
		return 0;
	}
	v = start(cpu);
	if (!v)
		return 0;
	if (!identify(v, skb, direct, 0, cpu) && taken(v, skb, direct, 1, 0, cpu)) {
		forget(address_of(skb, cpu));
		holder(&at, skb, direct);
		if (HAS_DROP_REASON)
			at.flags = FLAG_REASON;
		show(v, skb, &at, cpu, direct);
	}
	return end(cpu);
}

/* Only buffers seen before: a clone that a sniffer frees has another address. */
ALWAYS int at_consume(void *skb, const int direct)
{
	struct place at = { .hook = HOOK_CONSUME };
	struct cpu *cpu = this_cpu();
	__u64 address;
	struct view *v;

	if (!cpu)
		return 0;
	address = address_of(skb, cpu);
	if (!is_tracked_address(address)) {
		cpu->count.seen++;
		return 0;
	}
	v = start(cpu);
	if (!v)
		return 0;
	if (!identify(v, skb, direct, 0, cpu) && is_tracked(address, v->signature)) {
		cpu->count.matched++;
		holder(&at, skb, direct);
		show(v, skb, &at, cpu, direct);
	}
	forget(address);
	return end(cpu);
}

struct route {
	struct flow_key asked;
	__u64 gateway_hi, gateway_lo;
	__u32 table;
	__s32 oif, iif, error;
};

ALWAYS int is_about(const struct route *route, const struct flow_key *key)
{
	return key->src_hi == route->asked.src_hi && key->src_lo == route->asked.src_lo &&
	       key->dst_hi == route->asked.dst_hi && key->dst_lo == route->asked.dst_lo;
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

/* A routing decision about the packet this CPU received last, if the addresses say that it is. */
SLOW int show_route(const struct route *route)
{
	struct cpu *cpu = this_cpu();
	struct view *v = start(cpu);
	void *skb;

	if (!v)
		return 0;
	skb = (void *)(unsigned long)cpu->routed;
	if (!locate(v, skb, 0, 0) && !read_l3(v) && is_about(route, &v->key))
		show_about(v, skb, route, cpu);
	return end(cpu);
}

SLOW int read_next_hop(struct route *route, void *nhc)
{
	__be32 gateway[4] = {};
	__u8 family = 0;

	if (!nhc)
		return 0;
	LOAD(0, route->oif, nhc, nhc_oif);
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

	if (!cpu || !cpu->routed)
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

ALWAYS int at_route6(void *result, void *table, void *flow)
{
	struct cpu *cpu = this_cpu();
	struct route route = {};
	__be32 address[4] = {};
	void *next_hop = 0;

	if (!cpu || !cpu->routed)
		return 0;
	bpf_probe_read_kernel(address, sizeof(address), ADDRESS(flow, fl6_saddr));
	ct_address(address, 10, &route.asked.src_hi, &route.asked.src_lo);
	bpf_probe_read_kernel(address, sizeof(address), ADDRESS(flow, fl6_daddr));
	ct_address(address, 10, &route.asked.dst_hi, &route.asked.dst_lo);
	LOAD(0, route.iif, flow, fl_iif);
	LOAD(0, route.table, table, fib6_table_id);
	LOAD(0, next_hop, result, fib6_nh);
	if (next_hop)
		read_next_hop(&route, next_hop); /* fib_nh_common is its first member */
	return show_route(&route);
}

SLOW int show_translation(const struct view *v, void *skb, const struct place *at, __u32 source,
			  struct cpu *cpu)
{
	struct event *e = begin(v, skb, at, cpu, 0);

	cpu->count.matched++;
	if (!e)
		return 0;
	e->aux = AUX_NAT;
	e->before_src_hi = cpu->before.src_hi;
	e->before_src_lo = cpu->before.src_lo;
	e->before_dst_hi = cpu->before.dst_hi;
	e->before_dst_lo = cpu->before.dst_lo;
	e->before_sport = cpu->before.sport;
	e->before_dport = cpu->before.dport;
	if (!has_ports(cpu->before.proto))
		e->before_icmp_id = cpu->before.sport;
	e->nat_hook = cpu->nat_hook;
	e->nat_source = source;
	finish(e, cpu);
	return 0;
}

ALWAYS int same_key(const struct flow_key *a, const struct flow_key *b)
{
	return a->src_lo == b->src_lo && a->dst_lo == b->dst_lo && a->src_hi == b->src_hi &&
	       a->dst_hi == b->dst_hi && a->sport == b->sport && a->dport == b->dport;
}

/* Whether NAT may rewrite this packet: its conntrack entry says so, or may still come to (NAT leaves
 * confirmed entries alone: nf_nat_setup_info). */
ALWAYS int may_be_translated(void *skb, const int direct)
{
	unsigned long nfct = 0, status = 0;

	LOAD(direct, nfct, skb, skb_nfct);
	if (!(nfct & NFCT_PTRMASK))
		return 0;
	LOAD(0, status, nfct & NFCT_PTRMASK, ct_status);
	return status & IPS_NAT_MASK || !(status & IPS_CONFIRMED);
}

/* Just before NAT: keep what the packet is now. */
ALWAYS int before_nat(void *skb, const int direct)
{
	struct cpu *cpu = this_cpu();
	struct view *v;

	if (!cpu)
		return 0;
	cpu->translated = 0;
	if (!may_be_translated(skb, direct)) {
		cpu->count.seen++;
		return 0;
	}
	v = start(cpu);
	if (!v)
		return 0;
	if (!locate(v, skb, direct, 0) && !read_l3(v)) {
		cpu->before = v->key;
		cpu->translated = address_of(skb, cpu);
	}
	return end(cpu);
}

/* Whether a packet that NAT has just rewritten is one of ours, before or after. */
SLOW int translation_taken(struct view *v, __u64 ct, struct cpu *cpu)
{
	if (opt_match_all)
		return 1;
	if (!find_flow(&v->key) && !find_flow(&cpu->before) && !filter_matches(&v->key) &&
	    !filter_matches(&cpu->before) && !(ct && filter_takes_translation(ct)))
		return 0;
	add_both(&cpu->before);
	remember(v, ct);
	return 1;
}

/* Just after NAT: show it when it is another now. */
ALWAYS int after_nat(void *skb, const struct place *at, __u32 source, const int direct)
{
	struct cpu *cpu = this_cpu();
	struct view *v;

	if (!cpu || cpu->translated != address_of(skb, cpu))
		return 0;
	cpu->translated = 0;
	v = start(cpu);
	if (!v)
		return 0;
	if (!locate(v, skb, direct, 0) && !read_l3(v) && !same_key(&v->key, &cpu->before) &&
	    translation_taken(v, translated_entry(skb, direct), cpu)) {
		track(address_of(skb, cpu), v->signature, cpu);
		show_translation(v, skb, at, source, cpu);
	}
	return end(cpu);
}

#ifdef TRACER_BCC
int slow(void *ctx)
{
	return 0;
}
#endif

/* --- programs: each tracepoint twice, with the pointer's type known (tp_btf) and not (raw) --- */

ALWAYS void *device_of(void *skb, const int direct)
{
	void *dev = 0;

	LOAD(direct, dev, skb, skb_dev);
	return dev;
}

#if HAVE_TYPED
PROGRAM("tp_btf/netif_receive_skb", receive_typed, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 1), HOOK_RECEIVE, 1);
}

PROGRAM("tp_btf/net_dev_start_xmit", xmit_typed, __u64)
{
	return at_device((void *)ctx[0], (void *)ctx[1], HOOK_XMIT, 1);
}

PROGRAM("tp_btf/net_dev_queue", queue_typed, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 1), HOOK_QUEUE, 1);
}

PROGRAM("tp_btf/kfree_skb", kfree_typed, __u64)
{
	return at_kfree((void *)ctx[0], ctx[1], HAS_DROP_REASON ? ctx[2] : 0, 1);
}

PROGRAM("tp_btf/consume_skb", consume_typed, __u64)
{
	return at_consume((void *)ctx[0], 1);
}
#endif

#if HAVE_RAW
PROGRAM("raw_tp/netif_receive_skb", receive_raw, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 0), HOOK_RECEIVE, 0);
}

PROGRAM("raw_tp/net_dev_start_xmit", xmit_raw, __u64)
{
	return at_device((void *)ctx[0], (void *)ctx[1], HOOK_XMIT, 0);
}

PROGRAM("raw_tp/net_dev_queue", queue_raw, __u64)
{
	void *skb = (void *)ctx[0];

	return at_device(skb, device_of(skb, 0), HOOK_QUEUE, 0);
}

PROGRAM("raw_tp/kfree_skb", kfree_raw, __u64)
{
	return at_kfree((void *)ctx[0], ctx[1], HAS_DROP_REASON ? ctx[2] : 0, 0);
}

PROGRAM("raw_tp/consume_skb", consume_raw, __u64)
{
	return at_consume((void *)ctx[0], 0);
}

#endif

PROGRAM("raw_tp/fib_table_lookup", route4_raw, __u64)
{
	return at_route4(ctx[0], (void *)ctx[1], (void *)ctx[2], ctx[3]);
}

PROGRAM("raw_tp/fib6_table_lookup", route6_raw, __u64)
{
	return at_route6((void *)ctx[1], (void *)ctx[2], (void *)ctx[3]);
}

#if HAVE_TYPED
/* Netfilter links; libbpf 1.1 has no name for their sections, so user space sets the type. */
PROGRAM("netfilter_before", before_netfilter, struct netfilter_context)
{
	before_nat(ctx->skb, 1);
	return NF_ACCEPT;
}

PROGRAM("netfilter_after", after_netfilter, struct netfilter_context)
{
	struct place at = { .hook = HOOK_NAT };
	struct nf_hook_state *state = ctx->state;
	struct cpu *cpu = this_cpu();
	__u8 hook;

	if (!cpu || !cpu->translated)
		return NF_ACCEPT;
	LOAD(1, hook, state, state_hook);
	LOAD(1, at.net, state, state_net);
	if (hook <= 1) /* PREROUTING, INPUT */
		LOAD(1, at.dev, state, state_in);
	else
		LOAD(1, at.dev, state, state_out);
	cpu->nat_hook = hook + 1;
	after_nat(ctx->skb, &at, NAT_BY_NETFILTER_LINK, 1);
	return NF_ACCEPT;
}
#endif

#if HAVE_KPROBES
/* Entry and return of nf_nat_manip_pkt(skb, ct, mtype, dir), where there are no netfilter programs. */
PROGRAM("kprobe/nf_nat_manip_pkt", before_kprobe, __u64)
{
	struct cpu *cpu = this_cpu();

	before_nat((void *)ARGUMENT1(ctx), 0);
	if (cpu)	/* enum nf_nat_manip_type: source addresses are rewritten on the way out */
		cpu->nat_hook = (__u32)ARGUMENT3(ctx) ? NAT_PREROUTING : NAT_POSTROUTING;
	return 0;
}

PROGRAM("kretprobe/nf_nat_manip_pkt", after_kprobe, __u64)
{
	struct place at = { .hook = HOOK_NAT };
	struct cpu *cpu = this_cpu();
	void *skb;

	if (!cpu || !cpu->translated)
		return 0;
	skb = (void *)(unsigned long)cpu->translated;
	at.dev = device_of(skb, 0);
	after_nat(skb, &at, NAT_BY_KPROBE, 0);
	return 0;
}

/* The module's types are unknown when it is loaded after this program. `dev` has been the first member
 * of struct vport since Linux 4.3 (net/openvswitch/vport.h), and fill_device() takes only what leads to a
 * network namespace. */
ALWAYS void *port_device(void *vport)
{
	void *dev = 0;

	if (HAS(vport_dev))
		LOAD(0, dev, vport, vport_dev);
	else
		bpf_probe_read_kernel(&dev, sizeof(dev), vport);
	return dev;
}

PROGRAM("kprobe/ovs_vport_receive", ovs_receive, __u64)
{
	return at_device((void *)ARGUMENT2(ctx), port_device((void *)ARGUMENT1(ctx)), HOOK_OVS_RECEIVE, 0);
}

PROGRAM("kprobe/ovs_dp_process_packet", ovs_process, __u64)
{
	void *skb = (void *)ARGUMENT1(ctx);

	return at_device(skb, device_of(skb, 0), HOOK_OVS_PROCESS, 0);
}

PROGRAM("kprobe/ovs_dp_upcall", ovs_upcall, __u64)
{
	void *skb = (void *)ARGUMENT2(ctx);

	return at_device(skb, device_of(skb, 0), HOOK_OVS_UPCALL, 0);
}

PROGRAM("kprobe/ovs_vport_send", ovs_send, __u64)
{
	return at_device((void *)ARGUMENT2(ctx), port_device((void *)ARGUMENT1(ctx)), HOOK_OVS_SEND, 0);
}

/* bool vlan_do_receive(struct sk_buff **): on return the packet belongs to the VLAN device. */
PROGRAM("kprobe/vlan_do_receive", vlan_entry, __u64)
{
	struct cpu *cpu = this_cpu();

	if (cpu)
		cpu->vlan_slot = ARGUMENT1(ctx);
	return 0;
}

PROGRAM("kretprobe/vlan_do_receive", vlan_return, __u64)
{
	struct cpu *cpu = this_cpu();
	void *skb = 0;

	if (!cpu || !cpu->vlan_slot || !(__u8)RESULT(ctx))
		return 0;
	bpf_probe_read_kernel(&skb, sizeof(skb), (void *)(unsigned long)cpu->vlan_slot);
	cpu->vlan_slot = 0;
	return skb ? at_device(skb, device_of(skb, 0), HOOK_VLAN_RECEIVE, 0) : 0;
}
#endif
