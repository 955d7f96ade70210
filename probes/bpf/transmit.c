// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What does the driver do with each frame that PPP gives it, and how long does
 * it take until IP has it?
 *
 * l2tp_xmit_skb runs with softirqs off. A tunnel inside a tunnel nests it: the
 * frames in work on one CPU are a small stack.
 */
#define TCP_ESTABLISHED 1 /* what a connected UDP socket is in as well */
#define MAX_NESTED 4
#define STALE_NS 1000000000ull
#define MAX_UDP_PAYLOAD (65535 - UDP_HEADER)

struct in_xmit {
    struct figure_key key;
    u64 session;
    u64 entered_ns;
    u32 bytes;
    u32 ns;
    struct place place;
};

struct xmit_stack {
    struct known known; /* of the session sent by last */
    struct place place; /* the same session's */
    u64 begun; /* whether that one's first packet was told */
    u32 depth;
    u32 padding;
    struct in_xmit frames[MAX_NESTED];
};

BPF_PERCPU_ARRAY(xmit_stacks, struct xmit_stack, 1);

INLINE int xmit_entered(void *session, void *skb)
{
    int zero = 0;
    struct xmit_stack *stack = xmit_stacks.lookup(&zero);
    struct in_xmit *now;
    struct steady *common = steadily();
    u64 ns = bpf_ktime_get_ns();
    u32 depth;

    if (!stack || !common)
        return 0;
    frame_bridged(skb);
    depth = stack->depth;
    if (depth && ns - stack->frames[(depth - 1) % MAX_NESTED].entered_ns > STALE_NS) {
        count_loss(LOSS_SEND_UNMATCHED); /* a return was missed: nothing is in work that long */
        depth = 0;
    }
    stack->depth = depth + 1;
    if (depth >= MAX_NESTED)
        return 0;
    now = &stack->frames[depth];
    now->entered_ns = ns;
    now->session = 0;
    if (common->one_in > 1 && ++stack->known.passed % common->one_in)
        return 0;
    now->session = (u64)session;
    if (!is_known(&stack->known, (u64)session, common->generation)) {
        key_of_session(&stack->known.key, session);
        stack->known.object = (u64)session;
        stack->known.generation = common->generation;
        stack->place.number = 0;
        stack->begun = 0;
    }
    if (!stack->begun)
        stack->begun = first_packet(session, skb, FIRST_PACKET_SENT);
    now->key = stack->known.key;
    now->place = stack->place;
    now->bytes = READ_ARGUMENT(u32, skb, OFFSET_SK_BUFF_LEN) +
                 READ_ARGUMENT(u16, session, OFFSET_L2TP_SESSION_HDR_LEN);
    now->ns = READ_ARGUMENT(u32, session, OFFSET_L2TP_SESSION_NS);
    return 0;
}

/* Why l2tp_xmit_skb did not send; it counts all as tx_errors. */
INLINE u32 cause_of_failure(struct in_xmit *now)
{
    void *tunnel = READ_KERNEL(void *, (void *)now->session, OFFSET_L2TP_SESSION_TUNNEL);
    void *sk = READ_KERNEL(void *, tunnel, OFFSET_L2TP_TUNNEL_SOCK);

    if (READ_KERNEL(int, sk, OFFSET_SOCK_SK_LOCK_OWNED))
        return VERDICT_SOCKET_BUSY;
    if (READ_KERNEL(u8, sk, OFFSET_SOCK_COMMON_SKC_STATE) != TCP_ESTABLISHED)
        return VERDICT_NOT_CONNECTED;
    return now->bytes > MAX_UDP_PAYLOAD ? VERDICT_TOO_LONG : VERDICT_SEND_FAILED;
}

/* The number that the session's next packet would have; a return by kprobe knows no ARGUMENT. */
INLINE u32 next_number(void *argument, struct in_xmit *now)
{
    if (FENTRY)
        return READ_ARGUMENT(u32, argument, OFFSET_L2TP_SESSION_NS);
    return READ_KERNEL(u32, (void *)now->session, OFFSET_L2TP_SESSION_NS);
}

INLINE int xmit_returned(void *argument, int result)
{
    int zero = 0;
    u64 ns = bpf_ktime_get_ns();
    struct xmit_stack *stack = xmit_stacks.lookup(&zero);
    struct session_note *note;
    struct figure *figure;
    struct in_xmit *now;
    u32 depth, slot;

    if (!stack)
        return 0;
    depth = stack->depth - 1;
    if (depth >= MAX_NESTED) {
        if (stack->frames[0].entered_ns) /* else no entry yet: it was there before the probes */
            count_loss(LOSS_SEND_UNMATCHED);
        if (stack->depth)
            stack->depth = depth;
        return 0;
    }
    stack->depth = depth;
    now = &stack->frames[depth];
    if (!now->session) /* not counted */
        return 0;
    figure = figure_at(&now->place);
    if (!figure) {
        figure = figure_found(&now->key, &now->place);
        if (!figure) {
            session_of(&now->key, (void *)now->session);
            figure = figure_made(&now->key, &now->place);
        }
        if (stack->known.object == now->session)
            stack->place = now->place;
    }
    if (!figure) {
        count_loss(LOSS_FIGURES_FULL);
        return 0;
    }
    figure->last_seen_ns = ns;
    ns -= now->entered_ns;
    figure->tx_ns_total += ns;
    slot = log2_slot(ns);
    HELD(slot);
    if (slot < LATENCY_SLOTS)
        figure->tx_ns_log2[slot] += 1;
    if (result) {
        add_verdict(figure, cause_of_failure(now), 1);
    } else {
        figure->tx_bytes += now->bytes;
        add_verdict(figure, VERDICT_SENT, 1);
    }
    if (next_number(argument, now) != now->ns) {
        note = session_of(&now->key, (void *)now->session); /* it was given a number */
        if (note) {
            note->tx_numbered += 1;
            note->tx_last = now->ns;
        }
    }
    return 0;
}
