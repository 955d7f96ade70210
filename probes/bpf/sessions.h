/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which sessions are there, whose peers are they, and what do their numbers say?
 */
#define IPV4 2  /* AF_INET */
#define IPV6 10 /* AF_INET6 */

/* sessions and tunnels name their namespace by their tunnel (l2tp_core.h: l2tp_net). */
INLINE void key_of_tunnel(struct figure_key *key, void *tunnel)
{
    void *net = READ_KERNEL(void *, tunnel, OFFSET_L2TP_TUNNEL_L2TP_NET);

    key->netns_cookie = READ_KERNEL(u64, net, OFFSET_NET_NET_COOKIE);
    key->netns = READ_KERNEL(u32, net, OFFSET_NET_NS + OFFSET_NS_COMMON_INUM);
    key->tunnel_id = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_TUNNEL_ID);
    key->version = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_VERSION);
}

INLINE void key_of_session(struct figure_key *key, void *session)
{
    key_of_tunnel(key, READ_KERNEL(void *, session, OFFSET_L2TP_SESSION_TUNNEL));
    if (key->version == 3)
        key->tunnel_id = 0; /* as in received data, which names the session alone */
    key->session_id = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_SESSION_ID);
}

INLINE void note_addresses(struct session_note *note, void *sk)
{
    u16 family = READ_KERNEL(u16, sk, OFFSET_SOCK_COMMON_SKC_FAMILY);

    note->local_port = READ_KERNEL(u16, sk, OFFSET_SOCK_COMMON_SKC_NUM);
    note->peer_port = __builtin_bswap16(READ_KERNEL(u16, sk, OFFSET_SOCK_COMMON_SKC_DPORT));
    if (family == IPV6) {
        bpf_probe_read_kernel(note->local_address, 16, sk + OFFSET_SOCK_COMMON_SKC_V6_RCV_SADDR);
        bpf_probe_read_kernel(note->peer_address, 16, sk + OFFSET_SOCK_COMMON_SKC_V6_DADDR);
    } else if (family == IPV4) {
        note->local_address[10] = note->local_address[11] = 0xff;
        note->peer_address[10] = note->peer_address[11] = 0xff;
        bpf_probe_read_kernel(note->local_address + 12, 4, sk + OFFSET_SOCK_COMMON_SKC_RCV_SADDR);
        bpf_probe_read_kernel(note->peer_address + 12, 4, sk + OFFSET_SOCK_COMMON_SKC_DADDR);
    }
}

/* Note a tunnel (SESSION is null) or a session that is met for the first time. */
INLINE struct session_note *note_met(struct figure_key *key, void *tunnel, void *session)
{
    int zero = 0;
    struct session_note *empty = no_session.lookup(&zero), *note;
    void *sk = READ_KERNEL(void *, tunnel, OFFSET_L2TP_TUNNEL_SOCK);
    u64 address = (u64)sk;
    u32 version = key->version;

    if (!empty)
        return 0;
    if (sessions.update(key, empty)) {
        count_loss(LOSS_SESSIONS_FULL);
        return 0;
    }
    note = sessions.lookup(key);
    if (!note)
        return 0;
    note->uses = 1;
    note->peer_tunnel_id = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_PEER_TUNNEL_ID);
    if (session) {
        note->object = (u64)session;
        note->peer_session_id = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_PEER_SESSION_ID);
        bpf_probe_read_kernel(note->name, 16, session + OFFSET_L2TP_SESSION_IFNAME);
    }
    if (sk) {
        note_addresses(note, sk);
        tunnel_versions.update(&address, &version);
    }
    return note;
}

INLINE struct session_note *session_of(struct figure_key *key, void *session)
{
    struct session_note *note = sessions.lookup(key);

    if (!note)
        return note_met(key, READ_KERNEL(void *, session, OFFSET_L2TP_SESSION_TUNNEL), session);
    if (!note->object && !note->ended_ns)
        note->object = (u64)session;
    return note;
}

/* Ids are given again: what was counted for their earlier owner is not the new one's. */
INLINE int registered(struct figure_key *key, void *tunnel, void *session)
{
    struct session_note *note = sessions.lookup(key);
    u32 uses = 0;

    next_generation();
    if (note && note->ended_ns) {
        uses = note->uses;
        leave_place(key);
        next_generation(); /* once more: the place was known up to here */
    }
    note = note_met(key, tunnel, session);
    if (note) {
        note->uses = uses + 1;
        note->registered_ns = bpf_ktime_get_ns();
    }
    return 0;
}

INLINE int ended(struct figure_key *key)
{
    struct session_note *note = sessions.lookup(key);

    next_generation();
    if (note) {
        note->object = 0;
        note->ended_ns = bpf_ktime_get_ns();
    }
    return 0;
}

/* A number has arrived; NOTE's queue is read after the driver has done with it. */
INLINE void note_received_number(struct session_note *note, u16 ns)
{
    u16 ahead = ns - note->rx_next, behind = note->rx_next - ns;
    void *session = (void *)note->object;

    if (!note->rx_numbered || ahead < 0x8000) {
        if (note->rx_numbered && ahead) {
            note->rx_gaps += 1;
            note->rx_skipped += ahead;
        }
        note->rx_next = (u16)(ns + 1);
    } else {
        note->rx_late += 1;
        if (behind > note->rx_depth)
            note->rx_depth = behind;
    }
    note->rx_numbered += 1;
    note->rx_last = ns;
    if (!session)
        return;
    note->nr = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_NR);
    note->queue = READ_KERNEL(u32, session,
                              OFFSET_L2TP_SESSION_REORDER_Q + OFFSET_SK_BUFF_HEAD_QLEN);
    if (note->queue > note->queue_max)
        note->queue_max = note->queue;
}

INLINE int resynchronised(void *session)
{
    struct figure_key key = {};
    struct session_note *note;

    key_of_session(&key, session);
    note = session_of(&key, session);
    if (note)
        note->rx_resyncs += 1;
    return 0;
}
