/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The user's filter as user space hands it over. */
#ifndef TRACER_OPTIONS_H
#define TRACER_OPTIONS_H

enum filter_constant { FILTER_ALTERNATIVES = 4 };

enum filter_term {
	TERM_ICMP_ID = 1, TERM_PROTO = 2, TERM_HOST = 4, TERM_SRC = 8, TERM_DST = 16,
	TERM_PORT = 32, TERM_SPORT = 64, TERM_DPORT = 128,
};

#define PROTO_ARP 0xfffeu	/* no IP protocol number: the filter's word for ARP */

/* The user's filter; a term that is not in `terms` takes everything. */
struct filter {
	__u32 terms;		/* enum filter_term */
	__u16 icmp_id, pad;
	__u32 proto;
	/* Networks: hi, lo, mask_hi, mask_lo of each alternative in turn. */
	__u64 host[4 * FILTER_ALTERNATIVES], src[4 * FILTER_ALTERNATIVES], dst[4 * FILTER_ALTERNATIVES];
	__u32 port[FILTER_ALTERNATIVES], sport[FILTER_ALTERNATIVES], dport[FILTER_ALTERNATIVES];
	__u32 hosts, srcs, dsts, ports, sports, dports;
};

/* What bcc's programs find in a read-only map; the core object has a variable opt_NAME of each. */
struct options {
	struct filter user_filter;
	__u64 protocols;
	__u32 snap, tracked_mask;
	__u8 match_all, tunnels, route, headers, pad[4];
};

#endif
