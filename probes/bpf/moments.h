/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * When did something happen to a tunnel or a session?
 *
 * Rare things, each told once: tunnels and sessions that come and go, control
 * messages that the driver passes up (with their text, so that those of any
 * daemon can be decoded), a session's first packet of a network protocol, and
 * drops for which the driver has a tracepoint. Whoever counts packets calls here
 * when there may be something to tell, which of most packets it knows without.
 */

/* The order of probes/moments/events.py: Moment. */
enum moment {
    TUNNEL_REGISTERED,
    TUNNEL_DELETED,
    TUNNEL_FREED,
    SESSION_REGISTERED,
    SESSION_DELETED,
    SESSION_FREED,
    CONTROL_RECEIVED,
    FIRST_PACKET_RECEIVED,
    FIRST_PACKET_SENT,
    DROPPED_OUT_OF_SEQUENCE,
    DROPPED_EXPIRED,
    DROPPED_OUTSIDE_WINDOW,
    MOMENTS,
};

/* probes/moments/events.py: RECORD. */
struct moment_event {
    u64 time_ns; /* CLOCK_MONOTONIC */
    u32 what;
    u32 netns;
    u32 tunnel_id, session_id, peer_tunnel_id, peer_session_id;
    u32 ns;     /* of a drop: the packet's number */
    u32 length; /* of a control message */
    u32 octets; /* of it, in message[] */
    u8 ipv6;
    u8 source[16];
    u8 port[2];
    u8 pad;
    u8 message[MESSAGE_OCTETS];
};

_Static_assert(sizeof(struct moment_event) == SIZEOF_MOMENT_EVENT, "RECORD differs");
_Static_assert(MOMENTS == MOMENT_COUNT, "Moment differs");

BPF_RINGBUF_OUTPUT(moments, 1);
BPF_PERCPU_ARRAY(moments_lost, u64, 1);

/* Sessions whose first packet was told: bit 0 received, bit 1 sent. */
BPF_TABLE("lru_hash", u64, u32, begun, 4096);

INLINE int tells_moments(void)
{
    struct steady *common = steadily();

    return common && common->tells;
}

INLINE struct moment_event *new_moment(u32 what)
{
    struct moment_event *event;

    if (!tells_moments())
        return 0;
    event = moments.ringbuf_reserve(sizeof(struct moment_event));
    if (!event) {
        int zero = 0;
        u64 *lost = moments_lost.lookup(&zero);

        if (lost)
            *lost += 1;
        return 0;
    }
    __builtin_memset(event, 0, sizeof(*event) - MESSAGE_OCTETS);
    event->time_ns = bpf_ktime_get_ns();
    event->what = what;
    return event;
}

INLINE int put_moment(struct moment_event *event)
{
    moments.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
    return 0;
}

INLINE u32 inum_of(void *net)
{
    return READ_KERNEL(u32, net, OFFSET_NET_NS + OFFSET_NS_COMMON_INUM);
}

INLINE void note_tunnel(struct moment_event *event, void *tunnel)
{
    event->netns = inum_of(READ_KERNEL(void *, tunnel, OFFSET_L2TP_TUNNEL_L2TP_NET));
    event->tunnel_id = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_TUNNEL_ID);
    event->peer_tunnel_id = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_PEER_TUNNEL_ID);
}

INLINE void note_session(struct moment_event *event, void *session)
{
    note_tunnel(event, READ_KERNEL(void *, session, OFFSET_L2TP_SESSION_TUNNEL));
    event->session_id = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_SESSION_ID);
    event->peer_session_id = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_PEER_SESSION_ID);
}

INLINE int of_tunnel(void *tunnel, u32 what)
{
    struct moment_event *event = new_moment(what);

    if (!event)
        return 0;
    note_tunnel(event, tunnel);
    return put_moment(event);
}

INLINE int of_session(void *session, u32 what, u32 ns)
{
    u64 address = (u64)session;
    struct moment_event *event;

    if (what == SESSION_REGISTERED || what == SESSION_FREED) /* the address will be used again */
        begun.delete(&address);
    event = new_moment(what);
    if (!event)
        return 0;
    note_session(event, session);
    event->ns = ns;
    return put_moment(event);
}

/*
 * Tell a session's first packet of a network-layer protocol, below 0x4000 (RFC 1661 §2): IP, not PPP's
 * own talk. Gives whether it has been told, now or before.
 */
INLINE int first_packet(void *session, void *skb, u32 what)
{
    u32 bit = what == FIRST_PACKET_SENT ? 2 : 1, told, *known;
    u64 address = (u64)session;
    u8 octets[4] = {};

    if (!tells_moments())
        return 1; /* nobody asks */
    known = begun.lookup(&address);
    told = known ? *known : 0;
    if (told & bit)
        return 1;
    bpf_probe_read_kernel(octets, 4, READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DATA));
    if (octets[0] == 0xff && octets[1] == 0x03)
        octets[0] = octets[2];
    if (octets[0] >= 0x40)
        return 0;
    told |= bit;
    begun.update(&address, &told);
    of_session(session, what, 0);
    return 1;
}

/* At the driver's hook skb->data is the UDP header; the message follows. */
INLINE int control_message(void *sk, void *skb)
{
    void *data = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DATA), *ip;
    u32 length = READ_KERNEL(u32, skb, OFFSET_SK_BUFF_LEN);
    u32 linear = length - READ_KERNEL(u32, skb, OFFSET_SK_BUFF_DATA_LEN);
    struct moment_event *event;
    u8 header[12] = {};
    u32 octets, id;

    if (linear < 8 + 12 || bpf_probe_read_kernel(header, 12, data + 8))
        return 0;
    event = new_moment(CONTROL_RECEIVED);
    if (!event)
        return 0;
    event->netns = inum_of(READ_KERNEL(void *, sk, OFFSET_SOCK_COMMON_SKC_NET));
    event->tunnel_id = header[4] << 8 | header[5];
    event->session_id = header[6] << 8 | header[7];
    event->length = length - 8;
    octets = linear - 8;
    if (octets > MESSAGE_OCTETS)
        octets = MESSAGE_OCTETS;
    bpf_probe_read_kernel(event->message, octets, data + 8);
    event->octets = octets;
    ip = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_HEAD) +
         READ_KERNEL(u16, skb, OFFSET_SK_BUFF_NETWORK_HEADER);
    event->ipv6 = READ_KERNEL(u8, ip, 0) >> 4 == 6;
    if (event->ipv6)
        bpf_probe_read_kernel(event->source, 16, ip + 8);
    else
        bpf_probe_read_kernel(event->source, 4, ip + 12);
    bpf_probe_read_kernel(event->port, 2, data);
    return put_moment(event);
}
