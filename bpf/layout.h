/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user space shares with the programs, in the object's BTF. */
#ifndef TRACER_LAYOUT_H
#define TRACER_LAYOUT_H

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

#endif
