/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* bcc's helpers refuse to compile without this, and ask for nothing else. */
#define CONFIG_BPF_SYSCALL 1
