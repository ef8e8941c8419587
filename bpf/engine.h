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

#endif
