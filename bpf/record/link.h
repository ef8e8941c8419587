/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* MACs, VLAN tags, the device and its namespace in a record. */
#ifndef TRACER_RECORD_LINK_H
#define TRACER_RECORD_LINK_H

/* VLAN ids: the tag the driver took off the data, then those still in it. */
ALWAYS void fill_vlan(struct event *e, const struct view *v, void *skb, __u32 l3, __u32 mac, const int direct)
{
	__u16 proto = 0, tci = 0, tag[4] __attribute__((aligned(8))) = {};
	int present;

	LOAD(direct, proto, skb, skb_vlan_proto);
	if (HAS(skb_vlan_present))
		present = LOAD_BITS(skb, skb_vlan_present, 1);
	else
		present = proto != 0;
	if (present) {
		LOAD(direct, tci, skb, skb_vlan_tci);
		e->flags |= FLAG_VLAN;
		e->vlan = tci & 0xfff;
	}
	if (l3 - mac != 18 && l3 - mac != 22)
		return;
	if (read_at(v, tag, sizeof(tag), mac + 14))
		return;
	tci = bpf_ntohs_(tag[0]) & 0xfff;
	if (present) {
		e->flags |= FLAG_VLAN_INNER;
		e->vlan_inner = tci;
		return;
	}
	e->flags |= FLAG_VLAN;
	e->vlan = tci;
	if (l3 - mac == 22) {
		e->flags |= FLAG_VLAN_INNER;
		e->vlan_inner = bpf_ntohs_(tag[2]) & 0xfff;
	}
}

ALWAYS void fill_macs(struct event *e, const struct view *v, __u32 mac, const int outer)
{
	__u64 frame[2], dst, src;

	if (read_at(v, frame, sizeof(frame), mac))
		return;
	dst = bpf_ntohll_(frame[0]) >> 16;
	src = bpf_ntohll_(frame[0] >> 32 | frame[1] << 32) & 0xffffffffffffULL;
	if (outer) {
		e->flags |= FLAG_OUTER_ETH;
		e->outer_dst_mac = dst;
		e->outer_src_mac = src;
	} else {
		e->flags |= FLAG_ETH;
		e->dst_mac = dst;
		e->src_mac = src;
	}
}

/* In a tunnel the frame's own link header is the outer one; the inner Ethernet header, if there is one,
 * lies just before the inner network header. */
ALWAYS void fill_link(struct event *e, const struct view *v, void *skb, const int direct)
{
	__u32 l3 = (v->outer_l3 ? v->outer_l3 : v->l3) - 4 * v->labels;
	__u16 mac;

	if (v->labels) {
		e->flags |= FLAG_MPLS;
		e->mpls_label = v->label;
	}
	LOAD(direct, mac, skb, skb_mac_header);
	if (mac == NO_HEADER || mac + 14 > l3 || l3 - mac > 26)
		return;
	fill_vlan(e, v, skb, l3, mac, direct);
	if (!v->outer_l3) {
		fill_macs(e, v, mac, 0);
		return;
	}
	fill_macs(e, v, mac, 1);
	if (e->flags & FLAG_VLAN) {
		e->flags = (e->flags & ~(FLAG_VLAN | FLAG_VLAN_INNER)) | FLAG_OUTER_VLAN;
		e->outer_vlan = e->vlan;
	}
}

ALWAYS void fill_inner_link(struct event *e, const struct view *v)
{
	if (v->outer_l3 && v->encap != ENCAP_IPIP && v->encap != ENCAP_SIT && v->encap != ENCAP_IP6TNL &&
	    v->l3 > v->outer_l3 + 42)
		fill_macs(e, v, v->l3 - 14, 0);
}

ALWAYS void fill_device(struct event *e, void *dev, const int direct)
{
	void *net = 0;
	__u32 ifindex = 0, inum = 0;

	if (!dev)
		return;
	LOAD(direct, ifindex, dev, dev_ifindex);
	LOAD(direct, net, dev, dev_net);
	if (net)
		LOAD(direct, inum, net, net_inum);
	/* skb->dev shares its bytes with queue links: only a real namespace makes it a device. */
	if (inum < FIRST_NETNS_INUM)
		return;
	e->netns = inum;
	e->ifindex = ifindex;
	e->flags |= FLAG_DEV;
	bpf_probe_read_kernel(&e->dev_name_head, 16, ADDRESS(dev, dev_name)); /* IFNAMSIZ */
}

ALWAYS void fill_netns(struct event *e, void *net, const int direct)
{
	__u32 inum = 0;

	if (net)
		LOAD(direct, inum, net, net_inum);
	if (inum >= FIRST_NETNS_INUM)
		e->netns = inum;
}

#endif
