/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* CO-RE: fields are relocated by libbpf, options are read-only data set before loading. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "event.h"
#include "state.h"
#include "options.h"
#include "kernel.h"

#define SLOW static __attribute__((noinline))

struct pt_regs {	/* any kernel struct that begins with machine words */
	unsigned long first;
} __attribute__((preserve_access_index));

extern void *bpf_rdonly_cast(const void *from, __u32 type) __ksym __weak;

/* Whether the kernel has that function: its verifier then has this name for it. */
enum special_kfunc_type { KF_bpf_rdonly_cast };
#define opt_cast bpf_core_enum_value_exists(enum special_kfunc_type, KF_bpf_rdonly_cast)

#define WORDS(at) bpf_rdonly_cast((const void *)(at), bpf_core_type_id_kernel(struct pt_regs))

/* LOAD(direct, dst, pointer, field): `direct` is a constant; 1 where the verifier knows the pointer's
 * type (tp_btf and netfilter programs), which makes the read a plain, safe load. */
#define LOAD(direct, dst, ptr, field) LOAD_EXPAND(direct, dst, ptr, FIELD_##field)
#define LOAD_EXPAND(...) LOAD_FIELD(__VA_ARGS__)
#define LOAD_FIELD(direct, dst, ptr, type, member)                                                 \
	do {                                                                                       \
		if (direct)                                                                        \
			(dst) = (typeof(dst))((type *)(ptr))->member;                              \
		else if (opt_cast)                                                                 \
			(dst) = *(typeof(dst) *)WORDS(                                             \
				__builtin_preserve_access_index(&((type *)(ptr))->member));        \
		else                                                                               \
			bpf_core_read(&(dst), sizeof(dst), &((type *)(ptr))->member);              \
	} while (0)

#define ADDRESS(ptr, field) ADDRESS_EXPAND(ptr, FIELD_##field)
#define ADDRESS_EXPAND(...) ADDRESS_FIELD(__VA_ARGS__)
#define ADDRESS_FIELD(ptr, type, member)                                                           \
	((const void *)__builtin_preserve_access_index(&((type *)(ptr))->member))

/* Options; the names are the macros' names under bcc. */
#define OPTION const volatile
#define OPTION_ARRAY const volatile

OPTION struct filter user_filter;
OPTION __u8 opt_match_all, opt_tunnels, opt_route, opt_headers;
OPTION __u32 opt_snap, opt_tracked_mask = 0xffff;
OPTION __u64 opt_protocols = ~0ULL;

#define HAS(field) HAS_EXPAND(FIELD_##field)
#define HAS_EXPAND(...) HAS_FIELD(__VA_ARGS__)
#define HAS_FIELD(type, member) bpf_core_field_exists(((type *)0)->member)

/* LOAD_BITS(pointer, field, how many bits it has): a field that is not a whole byte. */
#define LOAD_BITS(ptr, field, n) LOAD_BITS_EXPAND(ptr, FIELD_##field)
#define LOAD_BITS_EXPAND(...) LOAD_BITS_FIELD(__VA_ARGS__)
#define LOAD_BITS_FIELD(ptr, type, member)                                                         \
	(opt_cast ? BPF_CORE_READ_BITFIELD((type *)WORDS(ptr), member) :                           \
		    BPF_CORE_READ_BITFIELD_PROBED((type *)(ptr), member))

#define HAS_DROP_REASON bpf_core_type_exists(enum skb_drop_reason)

#define MAP(kind, key_type, value_type, name, size)                                                \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_##kind);                                                 \
		__uint(max_entries, size);                                                         \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")
#define MAP_MMAPABLE(value_type, name)                                                             \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, 1);                                                            \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                         \
	} name SEC(".maps")
#define RING(name)                                                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                \
		__uint(max_entries, 1 << 24);                                                      \
	} name SEC(".maps")

#define LOOKUP(map, key) bpf_map_lookup_elem(&map, key)
#define INSERT(map, key, value) bpf_map_update_elem(&map, key, value, BPF_NOEXIST)
#define RESERVE(map, size) bpf_ringbuf_reserve(&map, size, 0)
#define SUBMIT(record) bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP)

#define HAVE_TYPED 1
#define HAVE_RAW 1
#define HAVE_KPROBES HAVE_PT_REGS
#define NF_ACCEPT 1
#define PROGRAM(section, name, context) SEC(section) int name(context *ctx)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define KEEP_TYPE(type) type *unused_type SEC(".rodata.types")
