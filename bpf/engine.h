/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What differs between the two engines, and nothing else: reading kernel fields, maps, options. */
#ifndef TRACER_ENGINE_H
#define TRACER_ENGINE_H

#define ALWAYS static inline __attribute__((always_inline))

#ifdef TRACER_BCC
#include "engine_bcc.h"
#else
#include "engine_core.h"
#endif

/* Words of whatever lies there: the compiler may not take them for no part of it. */
typedef __u64 __attribute__((may_alias)) word;

/* Reads `n` 64-bit words at any kernel address; a constant `n`. Where the kernel has bpf_rdonly_cast
 * (6.2) these are plain loads that give 0 when they fault; a helper call costs ten of them. */
ALWAYS int read_words(word *to, const void *at, const int n)
{
	const word *from;

	if (!opt_cast)
		return bpf_probe_read_kernel(to, n * sizeof(*to), at);
	from = WORDS(at);
#pragma unroll
	for (int i = 0; i < n; i++)
		to[i] = from[i];
	return 0;
}

#endif
