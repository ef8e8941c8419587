/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet at a device, going in or out. */
#ifndef TRACER_HOOKS_DEVICE_H
#define TRACER_HOOKS_DEVICE_H

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

/* Whether an ifb device gives a packet back to where it came in: it was seen there, and neither programs
 * nor sniffers are asked again (__netif_receive_skb_core). */
ALWAYS int is_given_back(void *skb)
{
	return HAS(skb_untapped) && LOAD_BITS(skb, skb_untapped, 1);
}

/* Something came in, which takes the place of what did so before the last few. */
ALWAYS void came_in(struct cpu *cpu)
{
	cpu->routed[cpu->received++ % ROUTED] = 0;
	if (cpu->unrouted)
		cpu->unrouted--;
}

/* No routing decision is to be shown for this buffer (any more). */
SLOW int await_no_route(struct cpu *cpu, __u64 skb)
{
	for (int i = 0; i < ROUTED; i++)
		if (cpu->routed[i] == skb)
			cpu->routed[i] = 0;
	return 0;
}

/* What came in last is one of ours: routing decisions about it are to be shown. */
ALWAYS void await_route(struct cpu *cpu, __u64 skb)
{
	if (cpu->unrouted)
		await_no_route(cpu, skb);
	cpu->routed[(cpu->received - 1) % ROUTED] = skb;
	cpu->unrouted = ROUTED;
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
		came_in(cpu);
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
			await_route(cpu, address_of(skb, cpu));
		else if (hook == HOOK_XMIT && cpu->unrouted)
			await_no_route(cpu, address_of(skb, cpu));
		if (hook == HOOK_RECEIVE || hook == HOOK_UPPER_RECEIVE) {
			cpu->seen_skb = address_of(skb, cpu);
			cpu->seen_at = (unsigned long)dev;
		}
		if (hook != HOOK_RECEIVE || !is_given_back(skb))
			show(v, skb, &at, cpu, direct);
	}
	return end(cpu);
}

ALWAYS void *device_of(void *skb, const int direct)
{
	void *dev = 0;

	LOAD(direct, dev, skb, skb_dev);
	return dev;
}

#endif
