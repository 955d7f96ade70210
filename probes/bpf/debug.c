/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What does the driver say of one tunnel, or of one session?
 *
 * What its debug mask once turned on is told by its tracepoints since Linux
 * 5.10, for every tunnel of every namespace at once. Here each is asked whose
 * it is, and said only where somebody wants to hear it, and no more often in a
 * second than is useful.
 */

/* The order of probes/debugging/spec.py: EVENTS. */
enum debug_event {
    REGISTER_TUNNEL,
    DELETE_TUNNEL,
    FREE_TUNNEL,
    REGISTER_SESSION,
    DELETE_SESSION,
    FREE_SESSION,
    SESSION_SEQNUM_LNS_ENABLE,
    SESSION_SEQNUM_LNS_DISABLE,
    SESSION_SEQNUM_UPDATE,
    SESSION_SEQNUM_RESET,
    SESSION_PKT_EXPIRED,
    SESSION_PKT_OOS,
    SESSION_PKT_OUTSIDE_RX_WINDOW,
    RECEIVED,
    SENDING,
    DEBUG_EVENTS,
};

/* The seed's PPPOL2TP_MSG_CONTROL, _SEQ and _DATA (linux/l2tp.h). */
enum category { CONTROL = 2, SEQ = 4, DATA = 8 };

/* probes/debugging/spec.py: FILTER_KEY. Session 0 stands for the tunnel with all its sessions. */
struct filter_key {
    u32 netns; /* inode number */
    u32 tunnel_id;
    u32 session_id;
};

/* probes/debugging/spec.py: FILTER */
struct filter {
    u64 second_ns; /* when the second began in which messages are counted */
    u32 categories;
    u32 said;     /* in that second */
    u32 left_out; /* for they were too many */
    u32 lost;     /* for nobody had read those before */
};

/* probes/debugging/spec.py: MESSAGE */
struct message {
    u64 time_ns;
    u32 netns;
    u32 tunnel_id;
    u32 session_id;
    u32 event;
    u32 number; /* a frame's Ns */
    u32 octets;
    u32 nr;
    u32 ns;
};

_Static_assert(DEBUG_EVENTS == DEBUG_EVENT_COUNT, "debug_spec.EVENTS differs");
_Static_assert(sizeof(struct filter_key) == SIZEOF_FILTER_KEY, "debug_spec.FILTER_KEY differs");
_Static_assert(sizeof(struct filter) == SIZEOF_FILTER, "debug_spec.FILTER differs");
_Static_assert(sizeof(struct message) == SIZEOF_MESSAGE, "debug_spec.MESSAGE differs");

BPF_TABLE("hash", struct filter_key, struct filter, filters, 1);
BPF_RINGBUF_OUTPUT(messages, 1);

INLINE struct filter *wanted(struct filter_key *key, u32 category)
{
    struct filter *filter = filters.lookup(key);

    if (filter && filter->categories & category)
        return filter;
    key->session_id = 0;
    filter = filters.lookup(key);
    return filter && filter->categories & category ? filter : 0;
}

INLINE int may_speak(struct filter *filter, u64 now)
{
    /* A receiving hook may have come between, and begun a second that is later than our NOW. */
    if ((s64)(now - filter->second_ns) >= 1000000000LL) {
        filter->second_ns = now;
        filter->said = 0;
    }
    if (filter->said >= MESSAGES_A_SECOND) {
        filter->left_out += 1;
        return 0;
    }
    filter->said += 1;
    return 1;
}

INLINE int say(u32 event, u32 category, void *tunnel, void *session, u32 number, u32 octets)
{
    void *net = READ_KERNEL(void *, tunnel, OFFSET_L2TP_TUNNEL_L2TP_NET);
    struct filter_key key = {};
    struct filter *filter;
    struct message *message;
    u64 now;
    u32 session_id = 0;

    key.netns = READ_KERNEL(u32, net, OFFSET_NET_NS + OFFSET_NS_COMMON_INUM);
    key.tunnel_id = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_TUNNEL_ID);
    if (session)
        session_id = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_SESSION_ID);
    key.session_id = session_id;
    filter = wanted(&key, category);
    if (!filter)
        return 0;
    now = bpf_ktime_get_ns();
    if (!may_speak(filter, now))
        return 0;
    message = messages.ringbuf_reserve(sizeof(struct message));
    if (!message) {
        filter->lost += 1;
        return 0;
    }
    message->time_ns = now;
    message->netns = key.netns;
    message->tunnel_id = key.tunnel_id;
    message->session_id = session_id;
    message->event = event;
    message->number = number;
    message->octets = octets;
    message->nr = session ? READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_NR) : 0;
    message->ns = session ? READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_NS) : 0;
    messages.ringbuf_submit(message, BPF_RB_NO_WAKEUP);
    return 0;
}

INLINE int say_of_session(u32 event, u32 category, void *session, u32 number, u32 octets)
{
    void *tunnel = READ_KERNEL(void *, session, OFFSET_L2TP_SESSION_TUNNEL);

    return say(event, category, tunnel, session, number, octets);
}

INLINE int say_of_data(u32 event, void *session, void *skb)
{
    u32 octets = READ_KERNEL(u32, skb, OFFSET_SK_BUFF_LEN);

    return say_of_session(event, DATA, session, 0, octets);
}

RAW_TRACEPOINT_PROBE(register_tunnel)
{
    return say(REGISTER_TUNNEL, CONTROL, (void *)ctx->args[0], 0, 0, 0);
}

RAW_TRACEPOINT_PROBE(delete_tunnel)
{
    return say(DELETE_TUNNEL, CONTROL, (void *)ctx->args[0], 0, 0, 0);
}

RAW_TRACEPOINT_PROBE(free_tunnel)
{
    return say(FREE_TUNNEL, CONTROL, (void *)ctx->args[0], 0, 0, 0);
}

RAW_TRACEPOINT_PROBE(register_session)
{
    return say_of_session(REGISTER_SESSION, CONTROL, (void *)ctx->args[0], 0, 0);
}

RAW_TRACEPOINT_PROBE(delete_session)
{
    return say_of_session(DELETE_SESSION, CONTROL, (void *)ctx->args[0], 0, 0);
}

RAW_TRACEPOINT_PROBE(free_session)
{
    return say_of_session(FREE_SESSION, CONTROL, (void *)ctx->args[0], 0, 0);
}

RAW_TRACEPOINT_PROBE(session_seqnum_lns_enable)
{
    return say_of_session(SESSION_SEQNUM_LNS_ENABLE, SEQ, (void *)ctx->args[0], 0, 0);
}

RAW_TRACEPOINT_PROBE(session_seqnum_lns_disable)
{
    return say_of_session(SESSION_SEQNUM_LNS_DISABLE, SEQ, (void *)ctx->args[0], 0, 0);
}

RAW_TRACEPOINT_PROBE(session_seqnum_update)
{
    return say_of_session(SESSION_SEQNUM_UPDATE, SEQ, (void *)ctx->args[0], 0, 0);
}

RAW_TRACEPOINT_PROBE(session_seqnum_reset)
{
    return say_of_session(SESSION_SEQNUM_RESET, SEQ, (void *)ctx->args[0], 0, 0);
}

RAW_TRACEPOINT_PROBE(session_pkt_expired)
{
    return say_of_session(SESSION_PKT_EXPIRED, SEQ, (void *)ctx->args[0],
                          (u32)ctx->args[1], 0);
}

RAW_TRACEPOINT_PROBE(session_pkt_oos)
{
    return say_of_session(SESSION_PKT_OOS, SEQ, (void *)ctx->args[0], (u32)ctx->args[1], 0);
}

RAW_TRACEPOINT_PROBE(session_pkt_outside_rx_window)
{
    return say_of_session(SESSION_PKT_OUTSIDE_RX_WINDOW, SEQ, (void *)ctx->args[0],
                          (u32)ctx->args[1], 0);
}

#if FENTRY

MODULE_KFUNC_PROBE(l2tp_core, l2tp_recv_common, void *session, void *skb)
{
    return say_of_data(RECEIVED, session, skb);
}

MODULE_KFUNC_PROBE(l2tp_core, l2tp_xmit_skb, void *session, void *skb)
{
    return say_of_data(SENDING, session, skb);
}

#else

int debug_received(struct pt_regs *ctx)
{
    return say_of_data(RECEIVED, (void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx));
}

int debug_sending(struct pt_regs *ctx)
{
    return say_of_data(SENDING, (void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx));
}

#endif
