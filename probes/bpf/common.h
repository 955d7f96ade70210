/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What every program here shares: how a probe is declared, how the kernel is
 * read, and where a loss is counted.
 *
 * No kernel header is included beyond what bcc brings: kernel structures are
 * read at offsets that the loader takes from BTF and passes as
 * -DOFFSET_<STRUCT>_<MEMBER>. That keeps one source right for every kernel
 * and the compilation short.
 */
#ifndef PROBES_COMMON_H
#define PROBES_COMMON_H

#include <uapi/linux/ptrace.h>

/* The loader says -DUSE_FENTRY when it wants fentry; this bcc may not know it. */
#if defined(USE_FENTRY) && defined(MODULE_KFUNC_PROBE) && defined(MODULE_KRETFUNC_PROBE)
#define FENTRY 1
#else
#define FENTRY 0
#endif

/* One program, no calls: bcc links none. */
#define INLINE static inline __attribute__((always_inline))

/* The order of probes/figures/events.py: Loss. Every one of these was counted nowhere else. */
enum loss {
    LOSS_FIGURES_FULL,       /* a datagram of a (netns, tunnel, session) with no room in the table */
    LOSS_HEADER_UNREAD,      /* a datagram whose L2TP header could not be read */
    LOSS_RETURN_UNMATCHED,   /* the hook returned, its entry was not seen */
    LOSS_ENTRY_UNMATCHED,    /* the hook was entered, its return was not seen */
    LOSS_LATENCY_UNMATCHED,  /* a frame reached netif_rx, its arrival is not known */
    LOSS_PROTOCOL_UNREAD,    /* a frame whose PPP protocol could not be read */
    LOSS_WAITING_FULL,       /* a frame that waits, and no room to note it: its end is not seen */
    LOSS_SESSIONS_FULL,      /* a session of which ids and numbers could not be noted */
    LOSS_SEND_UNMATCHED,     /* a transmission of which entry or return was not seen */
    LOSSES,
};

BPF_PERCPU_ARRAY(losses, u64, LOSSES);

INLINE void count_loss(int what)
{
    u64 *count = losses.lookup(&what);

    if (count)
        *count += 1;
}

/* What was counted as lost has been found. */
INLINE void uncount_loss(int what)
{
    u64 *count = losses.lookup(&what);

    if (count)
        *count -= 1;
}

/* The value of TYPE at BASE + OFFSET in the kernel; zero where it cannot be read. */
#define READ_KERNEL(type, base, offset)                                           \
    ({                                                                            \
        type value_ = 0;                                                          \
        bpf_probe_read_kernel(&value_, sizeof(value_), (void *)(base) + (offset)); \
        value_;                                                                   \
    })

/*
 * The same at an ARGUMENT of the probed function. By fentry the verifier knows what type an argument
 * points to, and a program may load from it: one instruction, where the helper costs over a hundred.
 */
#if FENTRY
#define READ_ARGUMENT(type, argument, offset) (*(type *)((void *)(argument) + (offset)))
#else
#define READ_ARGUMENT(type, argument, offset) READ_KERNEL(type, argument, offset)
#endif

/*
 * Keep VALUE in a register from its comparison to its use. The verifier of Linux 6.1 knows the bounds
 * of a register, and not that what is read from the stack again is what was compared.
 */
#define HELD(value) asm volatile("" : "+r"(value))

#endif
