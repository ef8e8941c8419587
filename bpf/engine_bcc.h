/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* bcc: compiled on the host; offsets (OFF_, BIT_, HAS_) come as -D from user space, which puts the maps'
 * descriptors in the places of FD_: what was compiled can be kept for any map and any option. */
#include "event.h"
#include "state.h"
#include "options.h"
#include "kernel.h"

/* bcc compiles no calls between BPF functions; it does carry sections along, so these go into the
 * section of a function that it knows (`slow`, below), and user space links the calls. */
#define SLOW static __attribute__((noinline, section(".bpf.fn.slow")))

/* bpf_rdonly_cast(address, type): user space puts the kernel function in this helper's place. */
#define WORDS(at) (((const void *(*)(const void *, __u32))0x10000)((const void *)(at), TYPE_words))

#define LOAD(direct, dst, ptr, field)                                                              \
	do {                                                                                       \
		if (direct)                                                                        \
			(dst) = *(typeof(dst) *)((void *)(ptr) + OFF_##field);                     \
		else if (opt_cast)                                                                 \
			(dst) = *(typeof(dst) *)WORDS((void *)(ptr) + OFF_##field);                \
		else                                                                               \
			bpf_probe_read_kernel(&(dst), sizeof(dst), (void *)(ptr) + OFF_##field);   \
	} while (0)
#define ADDRESS(ptr, field) ((const void *)(ptr) + OFF_##field)
#define HAS(field) HAS_##field
#define LOAD_BITS(ptr, field, n) load_bits((const void *)(ptr) + OFF_##field, BIT_##field, n)

ALWAYS int load_bits(const void *at, const int bit, const int n)
{
	__u8 byte = 0;

	if (opt_cast)
		return *(const __u8 *)WORDS(at) >> bit & ((1 << n) - 1);
	bpf_probe_read_kernel(&byte, sizeof(byte), at);
	return byte >> bit & ((1 << n) - 1);
}

/* User space makes the maps and passes their descriptors: bcc cannot rewrite map calls in macros. */
#define MAP(kind, key_type, value_type, name, size)
#define MAP_MMAPABLE(value_type, name)
#define RING(name)
#define LOOKUP(map, key) bpf_map_lookup_elem_(bpf_pseudo_fd(1, FD_##map), (void *)(key))
#define INSERT(map, key, value)                                                                    \
	bpf_map_update_elem_(bpf_pseudo_fd(1, FD_##map), (void *)(key), value, 1 /* BPF_NOEXIST */)
#define RESERVE(map, size) bpf_ringbuf_reserve((void *)bpf_pseudo_fd(1, FD_##map), size, 0)
#define SUBMIT(record) bpf_ringbuf_submit(record, 1 /* BPF_RB_NO_WAKEUP */)

#define OPTION_ARRAY const
#define OPTIONS ((const struct options *)bpf_pseudo_fd(2 /* the value itself */, FD_options))
#define user_filter (OPTIONS->user_filter)
#define opt_protocols (OPTIONS->protocols)
#define opt_snap (OPTIONS->snap)
#define opt_tracked_mask (OPTIONS->tracked_mask)
#define opt_match_all (OPTIONS->match_all)
#define opt_tunnels (OPTIONS->tunnels)
#define opt_route (OPTIONS->route)
#define opt_headers (OPTIONS->headers)

#define NF_ACCEPT 1
#define HAVE_TYPED WITH_BTF
#define HAVE_RAW !WITH_BTF
#define HAVE_KPROBES (WITH_KPROBES && HAVE_PT_REGS)
#define PROGRAM(section, name, context) int name(context *ctx)
#define KEEP_TYPE(type)
