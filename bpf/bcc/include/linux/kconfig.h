/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* This folder stands in for a kernel's headers: just what bcc's own helpers.h includes. */
#define CONFIG_BPF_SYSCALL 1
