// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What does the driver do with each datagram that reaches it, and how long
 * does a frame take from there to its ppp interface?
 *
 * l2tp_udp_encap_recv is the encap_rcv hook of a tunnel's UDP socket. It sees
 * control and data, and says what became of the datagram: 0 = consumed (a drop
 * included), 1 = passed up to the socket.
 *
 * The driver may have freed the datagram when the hook returns, so its ids and
 * length are noted at entry. The hook runs in a softirq and never nests on one
 * CPU: one note for each CPU is enough, and can never go stale.
 */
#define UDP_HEADER 8

#define L2TP_T 0x8000
#define L2TP_L 0x4000
#define L2TP_S 0x0800
#define L2TP_O 0x0200
#define L2TP_VERSION 0x000f

/* probes/events.py: FigureKey. Host byte order. */
struct figure_key {
    u64 netns_cookie; /* unlike the inode number, never used again */
    u32 netns;        /* inode number */
    u32 tunnel_id;    /* as in the received header: the id that this end chose */
    u32 session_id;   /* 0 in control messages of the tunnel itself */
    u32 version;      /* 2 or 3; 0 = the header is cut short */
};

enum kind { CONTROL, DATA };
enum verdict { CONSUMED, PASSED_UP };

/* probes/events.py: Figure. Lengths are of UDP payload: the L2TP header and what follows. */
struct figure {
    u64 packets[2][2]; /* [kind][verdict] */
    u64 bytes[2][2];
    u64 last_seen_ns; /* the largest of all CPUs counts, not the sum */
    u64 ppp_control;  /* of the data consumed: frames that ppp_input keeps for pppd */
    u64 latency_ns_total;
    u64 latency_ns_log2[LATENCY_SLOTS]; /* slot n: 2^n <= latency < 2^(n+1); the last: and above */
};

_Static_assert(sizeof(struct figure_key) == SIZEOF_FIGURE_KEY, "events.FIGURE_KEY differs");
_Static_assert(sizeof(struct figure) == SIZEOF_FIGURE, "events.FIGURE differs");
_Static_assert(LOSSES == LOSS_COUNT, "events.Loss differs");

/* How many entries the two large tables have is the loader's to say: 1 is only for bcc. */
BPF_TABLE("percpu_hash", struct figure_key, struct figure, figures, 1);

/* A figure of zeros to begin with: too large for the stack of a program. */
BPF_PERCPU_ARRAY(nothing, struct figure, 1);

/* The datagram that the hook is working on, on this CPU. */
struct in_hook {
    struct figure_key key;
    u64 skb;
    u64 entered_ns;
    u64 latency_ns; /* 0 = no ppp interface has it (yet) */
    u32 bytes;
    u8 active;
    u8 header_read;
    u8 kind;
    u8 ppp_control;
};

BPF_PERCPU_ARRAY(in_hooks, struct in_hook, 1);

/*
 * Datagrams that the hook consumed and no interface has: queued for reordering,
 * queued for pppd, or dropped. A later datagram of the same session can bring
 * the queued ones to their interface. Dropped ones are pushed out in time.
 */
struct waiting {
    u64 entered_ns;
    struct figure_key key;
};

BPF_TABLE("lru_hash", u64, struct waiting, waiting, 1);

INLINE struct in_hook *this_cpu(void)
{
    int zero = 0;

    return in_hooks.lookup(&zero);
}

/* Note ids and kind from the AVAILABLE bytes of L2TP header at HEADER, of TOTAL in the datagram. */
INLINE void note_header(struct in_hook *now, void *header, u32 available, u32 total)
{
    u8 octets[8] = {};
    u16 flags;
    u32 need = 6;

    if (available >= 8)
        bpf_probe_read_kernel(octets, 8, header);
    else if (available >= 6)
        bpf_probe_read_kernel(octets, 6, header);
    else if (available >= 2)
        bpf_probe_read_kernel(octets, 2, header);

    flags = octets[0] << 8 | octets[1];
    now->kind = flags & L2TP_T ? CONTROL : DATA;
    if (flags & L2TP_L || (flags & L2TP_VERSION) == 3)
        need = 8;
    if (total < need) {
        now->header_read = 1; /* cut short, and nothing more to read: version stays 0 */
        return;
    }
    if (available < need)
        return;
    now->header_read = 1;
    now->key.version = flags & L2TP_VERSION;
    if (now->key.version == 3) { /* RFC 3931 §3.2.1, §4.1.2: one id of 32 bits, at 4 */
        u32 id = (u32)octets[4] << 24 | octets[5] << 16 | octets[6] << 8 | octets[7];

        if (now->kind == CONTROL)
            now->key.tunnel_id = id;
        else
            now->key.session_id = id;
    } else if (flags & L2TP_L) { /* RFC 2661 §3.1: the Length field comes first */
        now->key.tunnel_id = octets[4] << 8 | octets[5];
        now->key.session_id = octets[6] << 8 | octets[7];
    } else {
        now->key.tunnel_id = octets[2] << 8 | octets[3];
        now->key.session_id = octets[4] << 8 | octets[5];
    }
}

/* skb->data is the UDP header here; the L2TP header may lie outside the linear part. */
INLINE void note_datagram(struct in_hook *now, void *skb)
{
    void *data = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DATA);
    u32 length = READ_KERNEL(u32, skb, OFFSET_SK_BUFF_LEN);
    u32 linear = length - READ_KERNEL(u32, skb, OFFSET_SK_BUFF_DATA_LEN);

    now->bytes = length > UDP_HEADER ? length - UDP_HEADER : 0;
    linear = linear > UDP_HEADER ? linear - UDP_HEADER : 0;
    note_header(now, data + UDP_HEADER, linear, now->bytes);
}

INLINE int hook_entered(void *sk, void *skb)
{
    struct in_hook *now = this_cpu();
    void *net;

    if (!now)
        return 0;
    if (now->active)
        count_loss(LOSS_ENTRY_UNMATCHED);
    __builtin_memset(now, 0, sizeof(*now));
    now->skb = (u64)skb;
    net = READ_KERNEL(void *, sk, OFFSET_SOCK_COMMON_SKC_NET);
    now->key.netns_cookie = READ_KERNEL(u64, net, OFFSET_NET_NET_COOKIE);
    now->key.netns = READ_KERNEL(u32, net, OFFSET_NET_NS + OFFSET_NS_COMMON_INUM);
    note_datagram(now, skb);
    now->active = 1;
    now->entered_ns = bpf_ktime_get_ns(); /* last: our own reading is no part of the latency */
    return 0;
}

/*
 * A frame of a PPP protocol from 0xc000 on (LCP, authentication) goes to pppd by its channel, and
 * no ppp interface counts it (ppp_generic.c: ppp_input). AFTER_IDS is where the fixed part of the
 * header ends: Ns and Nr follow, then the offset's size and the offset (RFC 2661 §3.1). The driver
 * has pulled no more than 14 octets together: the protocol may lie outside the linear part still.
 */
INLINE void note_ppp_protocol(struct in_hook *now, void *skb, void *header, void *after_ids)
{
    u8 flags[2] = {}, offset[2] = {}, frame[4] = {};
    u32 length = READ_KERNEL(u32, skb, OFFSET_SK_BUFF_LEN);
    void *end = header + length - READ_KERNEL(u32, skb, OFFSET_SK_BUFF_DATA_LEN);
    u16 bits, protocol;

    bpf_probe_read_kernel(flags, 2, header);
    bits = flags[0] << 8 | flags[1];
    if (bits & L2TP_S)
        after_ids += 4;
    if (bits & L2TP_O) {
        bpf_probe_read_kernel(offset, 2, after_ids);
        after_ids += 2 + (offset[0] << 8 | offset[1]);
    }
    if (after_ids + 4 > end) {
        if (after_ids + 4 <= header + length) /* it is there, but not here */
            count_loss(LOSS_PROTOCOL_UNREAD);
        return;
    }
    bpf_probe_read_kernel(frame, 4, after_ids);
    protocol = frame[0] << 8 | frame[1];
    if (protocol == 0xff03) /* address and control, which may be left out (RFC 1661 §6.6) */
        protocol = frame[2] << 8 | frame[3];
    now->ppp_control = protocol >= 0xc000;
}

/* The driver has made the header linear by now: a second chance for one that was not. */
INLINE int header_reached(void *skb, void *after_ids, void *header)
{
    struct in_hook *now = this_cpu();

    if (!now || !now->active)
        return 0;
    if (!now->header_read)
        note_header(now, header, now->bytes, now->bytes);
    if (now->key.version == 2)
        note_ppp_protocol(now, skb, header, after_ids);
    return 0;
}

INLINE u32 log2_slot(u64 value)
{
    u32 slot = 0;

#pragma unroll
    for (int shift = 32; shift; shift >>= 1)
        if (value >> shift) {
            value >>= shift;
            slot += shift;
        }
    return slot < LATENCY_SLOTS ? slot : LATENCY_SLOTS - 1;
}

INLINE struct figure *figure_of(struct figure_key *key)
{
    struct figure *figure = figures.lookup(key);

    if (!figure) {
        int zero = 0;
        struct figure *empty = nothing.lookup(&zero);

        if (empty)
            figures.update(key, empty);
        figure = figures.lookup(key);
    }
    return figure;
}

INLINE void add_latency(struct figure *figure, u64 latency_ns)
{
    u32 slot = log2_slot(latency_ns);

    figure->latency_ns_total += latency_ns;
    if (slot < LATENCY_SLOTS) /* for the verifier */
        figure->latency_ns_log2[slot] += 1;
}

INLINE int hook_returned(int passed_up)
{
    struct in_hook *now = this_cpu();
    struct figure *figure;
    u32 kind, verdict;

    if (!now)
        return 0;
    if (!now->active) {
        count_loss(LOSS_RETURN_UNMATCHED);
        return 0;
    }
    now->active = 0;
    if (!now->header_read && passed_up)
        note_datagram(now, (void *)now->skb); /* alive, and at the UDP header again */
    if (!now->header_read)
        count_loss(LOSS_HEADER_UNREAD);
    kind = now->kind == DATA ? DATA : CONTROL;
    verdict = passed_up ? PASSED_UP : CONSUMED;
    figure = figure_of(&now->key);
    if (!figure) {
        count_loss(LOSS_FIGURES_FULL);
        return 0;
    }
    figure->packets[kind][verdict] += 1;
    figure->bytes[kind][verdict] += now->bytes;
    figure->last_seen_ns = now->entered_ns;
    if (verdict == CONSUMED)
        figure->ppp_control += now->ppp_control;
    if (now->latency_ns) {
        add_latency(figure, now->latency_ns);
    } else if (kind == DATA && verdict == CONSUMED) {
        struct waiting entry = {.entered_ns = now->entered_ns, .key = now->key};

        waiting.update(&now->skb, &entry);
    }
    return 0;
}

/* A PPP frame goes to its interface; netif_rx of others is seen here as well. */
INLINE int frame_delivered(void *skb)
{
    struct in_hook *now = this_cpu();
    struct waiting *waited;
    struct figure *figure;
    u64 address = (u64)skb, ns;

    if (!now || !now->active)
        return 0;
    ns = bpf_ktime_get_ns();
    if (now->skb == address) {
        now->latency_ns = ns - now->entered_ns ?: 1;
        return 0;
    }
    waited = waiting.lookup(&address);
    if (!waited) {
        count_loss(LOSS_LATENCY_UNMATCHED);
        return 0;
    }
    figure = figures.lookup(&waited->key);
    if (figure)
        add_latency(figure, ns - waited->entered_ns);
    waiting.delete(&address);
    return 0;
}

#if FENTRY

MODULE_KFUNC_PROBE(l2tp_core, l2tp_udp_encap_recv, void *sk, void *skb)
{
    return hook_entered(sk, skb);
}

MODULE_KRETFUNC_PROBE(l2tp_core, l2tp_udp_encap_recv, void *sk, void *skb, int ret)
{
    return hook_returned(ret);
}

MODULE_KFUNC_PROBE(l2tp_core, l2tp_recv_common, void *session, void *skb, void *ptr, void *optr)
{
    return header_reached(skb, ptr, optr);
}

KFUNC_PROBE(netif_rx, void *skb)
{
    return frame_delivered(skb);
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

int session_reached(struct pt_regs *ctx)
{
    return header_reached((void *)PT_REGS_PARM2(ctx), (void *)PT_REGS_PARM3(ctx),
                          (void *)PT_REGS_PARM4(ctx));
}

int delivered(struct pt_regs *ctx)
{
    return frame_delivered((void *)PT_REGS_PARM1(ctx));
}

#endif
