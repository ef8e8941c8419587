/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the programs keep between packets, and count; user space reads it, too. */
#ifndef TRACER_STATE_H
#define TRACER_STATE_H

/* Per CPU; what the tracer itself did, and what it missed. */
struct counters {
	__u64 seen;		/* calls of any hook */
	__u64 matched;		/* packets that the filter or a followed flow took */
	__u64 sent;		/* records put into the ring */
	__u64 ring_full;	/* records lost because the ring was full */
	__u64 followed_added;	/* keys put into `followed`; less those still there: evictions */
	__u64 followed_failed;	/* keys that `followed` refused */
	__u64 tracked_added;
	__u64 tracked_evicted;	/* tracked buffers pushed out by another one */
	__u64 unreadable;	/* matched or possible packets whose headers could not be read */
};

/* One direction of a flow as `followed` keys it; ICMP echo has its id in both ports. A later fragment
 * has kind KEY_FRAGMENT, its IP id in sport and dport 0. */
enum flow_kind { KEY_FLOW = 0, KEY_FRAGMENT = 1, KEY_ARP = 2 };

struct flow_key {
	__u64 src_hi, src_lo, dst_hi, dst_lo;
	__u16 sport, dport;
	__u8 proto, kind;
	__u16 pad;
};

/* As many packets come in at once before the first of them is routed (net.core.gro_normal_batch, 8 by
 * default), and some more; a power of two. */
enum routed_constant { ROUTED = 16 };

/* What one CPU keeps: its counters, the packets that came in and are to be routed, and the one that it is
 * translating, which is done before the CPU takes up another one. */
struct cpu {
	struct counters count;
	__u64 address;		/* turns a pointer into a number */
	__u64 routed[ROUTED];	/* skbs that came in last, by number; 0: nobody's, or nothing to wait for */
	__u32 received;		/* how many came in */
	__u32 unrouted;		/* so many more come in until none of `routed` is left */
	__u64 seen_skb, seen_at;	/* skb that was seen to come in last, and the device */
	__u64 translated;	/* skb that is inside NAT now */
	struct flow_key before;	/* its key before NAT */
	__u64 before_ns;	/* when it came to NAT, if this host itself sends it; 0 otherwise */
	__u64 handed;		/* the argument of a function that may give a packet to another device */
	__u64 handed_from;	/* its device before */
	__u32 nat_hook;
	__u32 depth;		/* programs running on this CPU, one inside the other */
};

/* Value of `followed`: the conntrack entry whose tuples have been added already. */
struct flow_state {
	__u64 ct;
	__u64 ct_bits;
};

#endif
