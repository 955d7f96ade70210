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
#define PPPOX_BOUND 2

INLINE int hook_entered(void *sk, void *skb)
{
    struct in_hook *now = this_cpu();
    struct steady *common = steadily();

    if (!now || !common)
        return 0;
    if (now->active)
        count_loss(LOSS_ENTRY_UNMATCHED);
    if (common->one_in > 1 && ++now->known.passed % common->one_in) {
        now->active = 0;
        now->skb = 0;
        return 0;
    }
    __builtin_memset(&now->key, 0, sizeof(*now) - __builtin_offsetof(struct in_hook, key));
    now->skb = (u64)skb;
    now->sk = (u64)sk;
    now->verdict = VERDICTS;
    now->cause = VERDICTS;
    if (!is_known(&now->known, (u64)sk, common->generation)) {
        void *net = READ_KERNEL(void *, sk, OFFSET_SOCK_COMMON_SKC_NET);

        now->known.key.netns_cookie = READ_KERNEL(u64, net, OFFSET_NET_NET_COOKIE);
        now->known.key.netns = READ_KERNEL(u32, net, OFFSET_NET_NS + OFFSET_NS_COMMON_INUM);
        now->known.object = (u64)sk;
        now->known.generation = common->generation;
        now->place.number = 0;
        now->begun = 0;
    }
    now->key.netns_cookie = now->known.key.netns_cookie;
    now->key.netns = now->known.key.netns;
    note_datagram(now, extent_of_argument(skb));
    if (now->header_read && now->flags & L2TP_T)
        control_message(sk, skb);
    now->active = 1;
    now->entered_ns = bpf_ktime_get_ns(); /* last: our own reading is no part of the latency */
    return 0;
}

/* Why PPP or its socket freed a frame of this session (l2tp_ppp.c: pppol2tp_recv, ppp_input). */
INLINE u32 refused_by_ppp(void *session)
{
    void *sk = READ_KERNEL(void *, session,
                           OFFSET_L2TP_SESSION_PRIV + OFFSET_PPPOL2TP_SESSION_SK);
    u8 state;

    if (!sk)
        return VERDICT_NO_SOCKET;
    state = READ_KERNEL(u8, sk, OFFSET_SOCK_COMMON_SKC_STATE);
    if (!(state & PPPOX_BOUND))
        return VERDICT_SOCKET_FULL;
    if (!READ_KERNEL(void *, sk, OFFSET_PPPOX_SOCK_CHAN + OFFSET_PPP_CHANNEL_PPP))
        return VERDICT_CHANNEL_GONE;
    return VERDICT_PPP_REFUSED;
}

/* Why the driver freed the datagram that it was working on. */
INLINE u32 cause_of_drop(struct in_hook *now)
{
    if (now->cause != VERDICTS)
        return now->cause;
    if (now->reached_ppp)
        return refused_by_ppp((void *)now->session);
    if (now->key.version != 2)
        return VERDICT_UNKNOWN_CAUSE;
    if (now->header_end > now->bytes)
        return VERDICT_BAD_OFFSET;
    return now->flags & L2TP_S ? VERDICT_UNKNOWN_CAUSE : VERDICT_SEQUENCE_REQUIRED;
}

/* The driver passes data up that it has no use for, and says nowhere why. */
INLINE u32 cause_of_pass(struct in_hook *now)
{
    u32 *version;

    if (now->kind != DATA)
        return VERDICT_CONTROL;
    if (now->bytes < HEADER_OCTETS)
        return VERDICT_TOO_SHORT;
    version = tunnel_versions.lookup(&now->sk);
    if (version && *version != now->key.version)
        return VERDICT_WRONG_VERSION;
    if (now->key.version != 2 && now->key.version != 3)
        return VERDICT_WRONG_VERSION;
    return VERDICT_UNKNOWN_SESSION;
}

/* Neither delivered nor freed: where does it wait? */
INLINE u32 place_of_wait(struct in_hook *now)
{
    int zero = 0;
    struct settings *known = settings.lookup(&zero);
    void *sk;

    if (!known || !known->sees_ppp || !known->sees_frees)
        return VERDICT_LOST_FROM_SIGHT;
    if (!now->reached_ppp)
        return now->key.version == 2 ? VERDICT_WAITING_REORDER : VERDICT_PSEUDOWIRE;
    sk = READ_KERNEL(void *, (void *)now->session,
                     OFFSET_L2TP_SESSION_PRIV + OFFSET_PPPOL2TP_SESSION_SK);
    return READ_KERNEL(u8, sk, OFFSET_SOCK_COMMON_SKC_STATE) & PPPOX_BOUND
               ? VERDICT_WAITING_PPP
               : VERDICT_WAITING_SOCKET;
}

/* The figure that a packet counts in which waited; none where that is another owner's by now. */
INLINE struct figure *figure_of_waited(struct waiting *waited)
{
    struct session_note *note = sessions.lookup(&waited->key);
    struct place place = {};

    if (note && note->uses > 1 && note->registered_ns > waited->entered_ns)
        return 0;
    return figure_found(&waited->key, &place);
}

/*
 * A packet that waited has come to its end. Two CPUs may see that: whoever takes the entry counts, and
 * gets the figure that it counted in.
 */
INLINE struct figure *settle(u64 address, struct waiting *waited, u32 verdict)
{
    struct figure *figure = figure_of_waited(waited);
    u32 counted_as = waited->counted_as;

    if (waiting.delete(&address) || !figure)
        return 0;
    move_verdict(figure, counted_as, verdict);
    return figure;
}

/*
 * Two CPUs write each in a table and look in the other's: what this one wrote must be there before it
 * looks. An addition to memory with the bus locked is a full barrier, and all that BPF has.
 */
INLINE void before_looking(struct in_hook *now)
{
    __sync_fetch_and_add(&now->fence, 1);
}

/* Leave word of a frame that another CPU still has in the hook; gives its wait, if that has begun. */
INLINE struct waiting *note_early(struct in_hook *now, u64 address, u32 verdict, u32 ppp_control)
{
    struct early mark = {.verdict = verdict, .ppp_control = ppp_control};
    struct early *before = earlier.lookup(&address);

    if (before && verdict == VERDICT_DELIVERED)
        mark.ppp_control = before->ppp_control;
    mark.ns = bpf_ktime_get_ns();
    earlier.update(&address, &mark);
    before_looking(now);
    return waiting.lookup(&address); /* after the mark: one of the two CPUs sees the other's */
}

/* What another CPU has left word of about the datagram in work, which has just begun to wait. */
INLINE u32 heard_early(struct in_hook *now, u32 place)
{
    struct early *mark = earlier.lookup(&now->skb);
    struct waiting *waited;
    u32 verdict;
    u64 ns;

    if (!mark)
        return place;
    if (mark->ns < now->entered_ns) /* of an earlier owner of the address */
        return place;
    verdict = mark->verdict;
    now->ppp_control = mark->ppp_control;
    ns = mark->ns;
    earlier.delete(&now->skb);
    if (verdict == VERDICT_WAITING_PPP) {
        waited = waiting.lookup(&now->skb);
        if (waited)
            waited->place = verdict; /* and is counted where it was */
        return place;
    }
    if (waiting.delete(&now->skb)) /* the other CPU has settled it */
        return place;
    if (verdict == VERDICT_DELIVERED) {
        now->latency_ns = ns - now->entered_ns ?: 1;
        uncount_loss(LOSS_LATENCY_UNMATCHED);
    }
    return verdict;
}

/* Let a consumed datagram wait for its end; gives what it counts as. */
INLINE u32 begin_wait(struct in_hook *now)
{
    u32 place = place_of_wait(now);
    struct waiting *stale, entry = {.entered_ns = now->entered_ns, .key = now->key};

    if (place < VERDICT_WAITING_REORDER || place > VERDICT_WAITING_SOCKET)
        return place;
    stale = waiting.lookup(&now->skb); /* its address is in use again: its end was not seen */
    if (stale && stale->entered_ns > now->entered_ns) /* and this one's neither, on another CPU */
        return VERDICT_LOST_FROM_SIGHT;
    if (stale)
        settle(now->skb, stale, VERDICT_LOST_FROM_SIGHT);
    entry.place = entry.counted_as = place;
    if (!waiting.update(&now->skb, &entry)) {
        before_looking(now);
        return heard_early(now, place);
    }
    count_loss(LOSS_WAITING_FULL);
    return VERDICT_LOST_FROM_SIGHT;
}

/* The figure that a packet counts in; made where there is none yet. */
INLINE struct figure *figure_in_hook(struct in_hook *now)
{
    struct figure *figure = is_same(&now->placed, &now->key) ? figure_at(&now->place) : 0;

    if (figure)
        return figure;
    now->placed = now->key;
    figure = figure_found(&now->key, &now->place);
    if (figure)
        return figure;
    if (now->session)
        session_of(&now->key, (void *)now->session);
    return figure_made(&now->key, &now->place);
}

/* On another CPU pppd may read a frame that is for it, and free it, before the hook returns here. */
INLINE void expect_pppd(struct in_hook *now)
{
    struct figure *figure = figure_in_hook(now);
    u32 place;

    if (!figure)
        return;
    place = begin_wait(now);
    now->waits = NO_ROOM;
    if (place < VERDICT_WAITING_REORDER || place > VERDICT_WAITING_SOCKET)
        return;
    now->waits = NOTED;
    add_verdict(figure, place, 1);
}

/* The driver hands a frame to PPP: the one that has just come, or one that had waited for it. */
INLINE int ppp_reached(void *session, void *skb)
{
    struct in_hook *now = this_cpu();
    struct waiting *waited;
    u64 address = (u64)skb;

    if (!now || !now->active)
        return 0;
    now->session = (u64)session;
    now->in_ppp = address;
    if (now->begun != (u64)session && first_packet(session, skb, FIRST_PACKET_RECEIVED))
        now->begun = (u64)session;
    if (now->skb == address) {
        if (!now->header_read)
            note_pulled_header(now, skb);
        now->reached_ppp = 1;
        if (!now->frame_known)
            now->frame_reader = reader_in(skb);
        now->ppp_control = now->frame_reader == CHANNEL;
        if (now->frame_reader != NETWORK)
            expect_pppd(now);
        return 0;
    }
    waited = waiting.lookup(&address);
    if (!waited) /* another CPU has put it into the queue, and is still in the hook */
        waited = note_early(now, address, VERDICT_WAITING_PPP, reader_in(skb) == CHANNEL);
    if (waited)
        waited->place = VERDICT_WAITING_PPP; /* the figure is set right when that is settled */
    return 0;
}

/* What the packet counts as that the hook is done with; VERDICTS: that is counted already. */
INLINE u32 verdict_of(struct in_hook *now, int passed_up)
{
    u32 known = now->latency_ns ? VERDICT_DELIVERED : now->verdict;
    struct waiting *waited;

    if (passed_up)
        return cause_of_pass(now);
    if (now->waits == NOT_TRIED)
        return known != VERDICTS ? known : begin_wait(now);
    if (now->waits == NO_ROOM)
        return known != VERDICTS ? known : VERDICT_LOST_FROM_SIGHT;
    waited = known != VERDICTS ? waiting.lookup(&now->skb) : 0;
    if (waited && waited->entered_ns == now->entered_ns)
        settle(now->skb, waited, known);
    return VERDICTS;
}

INLINE int hook_returned(int passed_up)
{
    struct in_hook *now = this_cpu();
    struct session_note *note;
    struct figure *figure;
    u32 kind, side, verdict;

    if (!now)
        return 0;
    if (!now->active) {
        if (now->skb) /* else it was there before the probes, or is not counted */
            count_loss(LOSS_RETURN_UNMATCHED);
        return 0;
    }
    now->active = 0;
    if (!now->header_read && passed_up)
        note_datagram(now, extent_of((void *)now->skb)); /* alive, and at the UDP header again */
    if (!now->header_read)
        count_loss(LOSS_HEADER_UNREAD);
    figure = figure_in_hook(now);
    if (!figure) {
        count_loss(LOSS_FIGURES_FULL);
        return 0;
    }
    kind = now->kind == DATA ? DATA : CONTROL;
    side = passed_up ? PASSED_UP : CONSUMED;
    figure->packets[kind][side] += 1;
    figure->bytes[kind][side] += now->bytes;
    figure->last_seen_ns = now->entered_ns;
    verdict = verdict_of(now, passed_up);
    add_verdict(figure, verdict, 1);
    if (side == CONSUMED)
        figure->ppp_control += now->ppp_control;
    if (now->latency_ns)
        add_latency(figure, now->latency_ns);
    if (kind == DATA && side == CONSUMED && now->flags & L2TP_S && now->key.version == 2) {
        note = session_of(&now->key, (void *)now->session);
        if (note)
            note_received_number(note, now->ns);
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
    int is_early;

    if (!now || !now->active)
        return 0;
    ns = bpf_ktime_get_ns();
    waited = 0;
    if (now->skb != address) {
        waited = waiting.lookup(&address);
        if (!waited) { /* PPP has put its frame into another buffer (VJ) */
            address = now->in_ppp;
            if (now->skb != address)
                waited = waiting.lookup(&address);
        }
    }
    now->in_ppp = 0; /* one frame, one delivery */
    if (now->skb == address) {
        now->latency_ns = ns - now->entered_ns ?: 1;
        return 0;
    }
    is_early = !waited;
    if (is_early) {
        count_loss(LOSS_LATENCY_UNMATCHED);
        waited = note_early(now, address, VERDICT_DELIVERED, 0);
    }
    if (!waited)
        return 0;
    ns -= waited->entered_ns;
    figure = settle(address, waited, VERDICT_DELIVERED);
    if (!figure)
        return 0;
    add_latency(figure, ns);
    if (is_early)
        uncount_loss(LOSS_LATENCY_UNMATCHED);
    return 0;
}

/* A bridged PPP channel sends the frame on that it was given (PPPIOCBRIDGECHAN). */
INLINE void frame_bridged(void *skb)
{
    struct in_hook *now = this_cpu();
    struct waiting *waited;
    u64 address = (u64)skb;

    if (!now || !now->active || now->in_ppp != address)
        return;
    if (now->skb == address) {
        now->verdict = VERDICT_BRIDGED;
        if (now->waits != NOTED)
            return;
    }
    waited = waiting.lookup(&address);
    if (!waited && now->skb != address)
        waited = note_early(now, address, VERDICT_BRIDGED, 0);
    if (waited)
        settle(address, waited, VERDICT_BRIDGED);
}

/* Why was a packet freed that had waited? In the hook a later packet is in work on this CPU. */
INLINE u32 end_of_wait(struct in_hook *now, struct waiting *waited, u64 skb, u64 location)
{
    int zero = 0;
    struct settings *known;

    if (now->active) {
        if (now->expired) {
            now->expired = 0;
            return VERDICT_EXPIRED;
        }
        if (now->in_ppp == skb)
            return refused_by_ppp((void *)now->session);
        return waited->place == VERDICT_WAITING_PPP ? VERDICT_QUEUE_FULL : VERDICT_UNKNOWN_CAUSE;
    }
    if (waited->place == VERDICT_WAITING_REORDER)
        return VERDICT_REORDER_PURGED;
    known = settings.lookup(&zero);
    if (known && ((location >= known->ppp_text && location < known->ppp_text_end) ||
                  (location >= known->l2tp_text && location < known->l2tp_text_end)))
        return VERDICT_READ; /* by ppp_read or pppol2tp_recvmsg; the kernel itself purges queues */
    return VERDICT_CLOSED_UNREAD;
}

/* The same of a frame that was given to PPP early; gives its wait, if that has begun. */
INLINE struct waiting *freed_early(struct in_hook *now, u64 address, u64 location)
{
    struct early *mark = earlier.lookup(&address);
    struct waiting waited = {.place = VERDICT_WAITING_PPP};

    if (!mark || mark->verdict != VERDICT_WAITING_PPP)
        return 0;
    return note_early(now, address, end_of_wait(now, &waited, address, location), mark->ppp_control);
}

INLINE int freed(void *skb, u64 location)
{
    struct in_hook *now = this_cpu();
    struct waiting *waited;
    u64 address = (u64)skb;

    if (!now)
        return 0;
    if (now->active && now->skb == address) {
        if (now->verdict == VERDICTS) {
            if (!now->header_read)
                note_pulled_header(now, skb);
            now->verdict = cause_of_drop(now);
        }
        return 0;
    }
    waited = waiting.lookup(&address);
    if (!waited)
        waited = freed_early(now, address, location);
    if (waited)
        settle(address, waited, end_of_wait(now, waited, address, location));
    else if (now->active)
        now->expired = 0; /* it was queued before anybody looked */
    return 0;
}

INLINE int cause_told(u32 cause)
{
    struct in_hook *now = this_cpu();

    if (now && now->active) {
        if (cause == VERDICT_EXPIRED)
            now->expired = 1; /* of a packet in the queue, which is freed next */
        else
            now->cause = cause;
    }
    return 0;
}
