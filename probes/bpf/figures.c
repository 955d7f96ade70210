// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Where the figures' programs are attached: the same to functions by fentry as
 * by kprobes, and raw tracepoints in either case.
 */
#if FENTRY

MODULE_KFUNC_PROBE(l2tp_core, l2tp_udp_encap_recv, void *sk, void *skb)
{
    return hook_entered(sk, skb);
}

MODULE_KRETFUNC_PROBE(l2tp_core, l2tp_udp_encap_recv, void *sk, void *skb, int ret)
{
    return hook_returned(ret);
}

MODULE_KFUNC_PROBE(l2tp_ppp, pppol2tp_recv, void *session, void *skb)
{
    return ppp_reached(session, skb);
}

KFUNC_PROBE(netif_rx, void *skb)
{
    return frame_delivered(skb);
}

MODULE_KFUNC_PROBE(l2tp_core, l2tp_xmit_skb, void *session, void *skb)
{
    return xmit_entered(session, skb);
}

MODULE_KRETFUNC_PROBE(l2tp_core, l2tp_xmit_skb, void *session, void *skb, int ret)
{
    return xmit_returned(session, ret);
}

#else

int receive_entered(struct pt_regs *ctx)
{
    return hook_entered((void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx));
}

int receive_returned(struct pt_regs *ctx)
{
    return hook_returned((int)PT_REGS_RC(ctx));
}

int handed_to_ppp(struct pt_regs *ctx)
{
    return ppp_reached((void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx));
}

int delivered(struct pt_regs *ctx)
{
    return frame_delivered((void *)PT_REGS_PARM1(ctx));
}

int transmit_entered(struct pt_regs *ctx)
{
    return xmit_entered((void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx));
}

int transmit_returned(struct pt_regs *ctx)
{
    return xmit_returned(0, (int)PT_REGS_RC(ctx));
}

#endif

RAW_TRACEPOINT_PROBE(kfree_skb)
{
    return freed((void *)ctx->args[0], ctx->args[1]);
}

RAW_TRACEPOINT_PROBE(session_pkt_oos)
{
    of_session((void *)ctx->args[0], DROPPED_OUT_OF_SEQUENCE, ctx->args[1]);
    return cause_told(VERDICT_OUT_OF_SEQUENCE);
}

RAW_TRACEPOINT_PROBE(session_pkt_outside_rx_window)
{
    of_session((void *)ctx->args[0], DROPPED_OUTSIDE_WINDOW, ctx->args[1]);
    return cause_told(VERDICT_OUTSIDE_WINDOW);
}

RAW_TRACEPOINT_PROBE(session_pkt_expired)
{
    of_session((void *)ctx->args[0], DROPPED_EXPIRED, ctx->args[1]);
    return cause_told(VERDICT_EXPIRED);
}

RAW_TRACEPOINT_PROBE(session_seqnum_reset)
{
    return resynchronised((void *)ctx->args[0]);
}

RAW_TRACEPOINT_PROBE(register_tunnel)
{
    struct figure_key key = {};

    of_tunnel((void *)ctx->args[0], TUNNEL_REGISTERED);
    key_of_tunnel(&key, (void *)ctx->args[0]);
    return registered(&key, (void *)ctx->args[0], 0);
}

RAW_TRACEPOINT_PROBE(delete_tunnel)
{
    struct figure_key key = {};

    of_tunnel((void *)ctx->args[0], TUNNEL_DELETED);
    key_of_tunnel(&key, (void *)ctx->args[0]);
    return ended(&key);
}

RAW_TRACEPOINT_PROBE(free_tunnel)
{
    return of_tunnel((void *)ctx->args[0], TUNNEL_FREED);
}

RAW_TRACEPOINT_PROBE(register_session)
{
    struct figure_key key = {};
    void *session = (void *)ctx->args[0];

    of_session(session, SESSION_REGISTERED, 0);
    key_of_session(&key, session);
    return registered(&key, READ_KERNEL(void *, session, OFFSET_L2TP_SESSION_TUNNEL), session);
}

RAW_TRACEPOINT_PROBE(delete_session)
{
    struct figure_key key = {};

    of_session((void *)ctx->args[0], SESSION_DELETED, 0);
    key_of_session(&key, (void *)ctx->args[0]);
    return ended(&key);
}

RAW_TRACEPOINT_PROBE(free_session)
{
    return of_session((void *)ctx->args[0], SESSION_FREED, 0);
}
