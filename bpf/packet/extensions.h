/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What may lie between an IPv6 header and the transport header. */
#ifndef TRACER_PACKET_EXTENSIONS_H
#define TRACER_PACKET_EXTENSIONS_H

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

#endif
