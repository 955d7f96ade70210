/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The registers that a kprobe is given, in the order of each architecture's ABI. */
#ifndef PROBES_PTRACE_H
#define PROBES_PTRACE_H

#if defined(__TARGET_ARCH_x86) || defined(__x86_64__)
struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx;
    unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
    unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64) || defined(__aarch64__)
struct pt_regs {
    unsigned long long regs[31], sp, pc, pstate;
};
#else
#error "no struct pt_regs for this architecture: add it here"
#endif

#endif
