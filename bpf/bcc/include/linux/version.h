/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE 0 /* the programs' version word; kernels since 5.0 do not look at it */
