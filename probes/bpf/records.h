/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What is kept: for each session its figures, its ids and its numbers; for each
 * CPU the packet in work; and the packets whose end is still to come.
 */

/* probes/figures/events.py: FIGURE_KEY. Host byte order. */
struct figure_key {
    u64 netns_cookie; /* unlike the inode number, never used again */
    u32 netns;        /* inode number */
    u32 tunnel_id;    /* of this end: as in received headers */
    u32 session_id;   /* 0 in control messages of the tunnel itself */
    u32 version;      /* 2 or 3; 0 = the header is cut short */
};

INLINE int is_same(struct figure_key *one, struct figure_key *other)
{
    return one->netns_cookie == other->netns_cookie && one->netns == other->netns &&
           one->tunnel_id == other->tunnel_id && one->session_id == other->session_id &&
           one->version == other->version;
}

enum kind { CONTROL, DATA };
enum { CONSUMED, PASSED_UP };

/*
 * probes/figures/events.py: FIGURE. Lengths are of UDP payload: the L2TP header and what follows.
 * All are sums over the CPUs but last_seen_ns. Those of waiting packets go up and down.
 */
struct figure {
    u64 packets[2][2]; /* received, [kind][consumed or passed up] */
    u64 bytes[2][2];
    u64 last_seen_ns; /* the largest of all CPUs counts, not the sum */
    u64 ppp_control;  /* of the data consumed: frames that ppp_input keeps for pppd */
    u64 latency_ns_total;
    u64 tx_bytes; /* of what was handed to IP */
    u64 tx_ns_total;
    u64 number; /* of the stay that is counted here, on this CPU; 0 = nothing is */
    u64 verdicts[VERDICTS];
    u64 latency_ns_log2[LATENCY_SLOTS]; /* slot n: 2^n <= latency < 2^(n+1); the last: and above */
    u64 tx_ns_log2[LATENCY_SLOTS];
};

/* probes/figures/events.py: SESSION. One for both directions, from whichever CPU; of tunnels, session 0. */
struct session_note {
    u64 object; /* struct l2tp_session; 0 = gone, or not known */
    u64 registered_ns; /* 0 = before the probes came */
    u64 ended_ns;      /* 0 = it lives */
    u64 rx_numbered;
    u64 rx_gaps;    /* how often numbers were jumped over */
    u64 rx_skipped; /* how many */
    u64 rx_late;    /* behind a higher number: reordered, or repeated */
    u64 rx_resyncs; /* the driver took up the peer's number after a gap */
    u64 tx_numbered;
    u32 peer_tunnel_id;
    u32 peer_session_id;
    u32 uses; /* how often these ids were registered */
    u32 rx_next; /* one above the highest number received */
    u32 rx_last;
    u32 rx_depth; /* the furthest that one came behind the highest */
    u32 queue;    /* packets in the reorder queue, last and most */
    u32 queue_max;
    u32 nr; /* the driver's own next expected number */
    u32 tx_last;
    u16 local_port, peer_port;
    u8 local_address[16], peer_address[16]; /* IPv4 as ::ffff:a.b.c.d */
    u8 name[32];
    u32 padding;
};

_Static_assert(sizeof(struct figure_key) == SIZEOF_FIGURE_KEY, "events.FIGURE_KEY differs");
_Static_assert(sizeof(struct figure) == SIZEOF_FIGURE, "events.FIGURE differs");
_Static_assert(sizeof(struct session_note) == SIZEOF_SESSION, "events.SESSION differs");
_Static_assert(LOSSES == LOSS_COUNT, "events.Loss differs");

/* probes/figures/events.py: PLACE. Where figures lie, and the number of this stay: none is given again. */
struct place {
    u64 number;
    u32 slot;
    u32 padding;
};

/* probes/figures/events.py: SLOTS. From the first one on, so many. */
struct slots {
    u32 first;
    u32 count;
};

/* What a CPU gives places from. */
struct giver {
    u64 last; /* number that it gave */
    struct slots slots;
};

_Static_assert(sizeof(struct slots) == SIZEOF_SLOTS, "events.SLOTS differs");
_Static_assert(sizeof(struct place) == SIZEOF_PLACE, "events.PLACE differs");

/*
 * Figures lie in an array, which costs a packet a tenth of what a hash costs it. How many entries the
 * large tables have is the loader's to say: 1 is only for bcc.
 */
BPF_TABLE("percpu_array", int, struct figure, figures, 1);
BPF_TABLE("hash", struct figure_key, struct place, places, 1);
BPF_QUEUE(vacant, struct slots, 1);
BPF_PERCPU_ARRAY(nothing, struct figure, 1); /* zeros to begin with: too large for a stack */
BPF_PERCPU_ARRAY(givers, struct giver, 1);

BPF_TABLE("hash", struct figure_key, struct session_note, sessions, 1);

/* L2TP versions of the tunnels that are known, by struct sock of their UDP socket. */
BPF_TABLE("lru_hash", u64, u32, tunnel_versions, 1);

/* The same for a session. */
BPF_PERCPU_ARRAY(no_session, struct session_note, 1);

/* probes/figures/events.py: SETTINGS, written before a packet can begin. */
struct settings {
    u64 ppp_text, ppp_text_end;   /* where ppp_generic's code lies; 0 = not known */
    u64 l2tp_text, l2tp_text_end; /* the same of l2tp_ppp */
    u32 sees_ppp;   /* pppol2tp_recv is attached */
    u32 sees_frees; /* kfree_skb is attached */
};

_Static_assert(sizeof(struct settings) == SIZEOF_SETTINGS, "events.SETTINGS differs");

BPF_ARRAY(settings, struct settings, 1);

/*
 * What a tunnel's socket or a session is known by, as this CPU read it last: six reads that most
 * packets need not repeat. An address is given again, but not before its owner was deleted, and each
 * deletion and registration makes a new generation. Generation 0: they are not seen, nothing is kept.
 */
struct known {
    u64 object;
    u64 generation;
    u64 passed; /* packets on this CPU, of which one in so many is counted */
    struct figure_key key;
};

/* probes/figures/events.py: STEADY, written before a packet can begin. */
struct steady {
    u64 generation;
    u64 one_in; /* packets are counted; the others are let go at once */
    u64 tells;  /* moments are asked for */
};

_Static_assert(sizeof(struct steady) == SIZEOF_STEADY, "events.STEADY differs");

BPF_ARRAY(steady, struct steady, 1);

INLINE struct steady *steadily(void)
{
    int zero = 0;

    return steady.lookup(&zero);
}

INLINE void next_generation(void)
{
    struct steady *now = steadily();

    if (now && now->generation)
        __sync_fetch_and_add(&now->generation, 1);
}

/* Whether KNOWN is still right of OBJECT. */
INLINE int is_known(struct known *known, u64 object, u64 generation)
{
    return generation && known->generation == generation && known->object == object;
}

enum wait { NOT_TRIED, NOTED, NO_ROOM };

/* The datagram that the hook is working on, on this CPU. */
struct in_hook {
    struct known known; /* of the socket: outlives the datagram, as do: */
    struct figure_key placed; /* whose place this is: that of the last datagram */
    struct place place;
    u64 begun; /* the session whose first packet was told, last */
    struct figure_key key;
    u64 skb;
    u64 sk;
    u64 session;
    u64 in_ppp; /* the frame that PPP is working on: this one, or one that had waited */
    u64 entered_ns;
    u64 latency_ns; /* 0 = no ppp interface has it (yet) */
    u32 bytes;
    u32 header_end; /* octets up to the PPP frame, the offset included */
    u16 flags;
    u16 ns;
    u8 active;
    u8 header_read;
    u8 kind;
    u8 ppp_control;
    u8 frame_known;   /* the frame's protocol was read with the header: */
    u8 frame_reader;  /* enum reader: whose it is */
    u8 reached_ppp;
    u8 expired; /* the next packet freed has waited too long */
    u8 waits;   /* enum wait: whether its wait is noted already */
    u8 verdict; /* as far as it is known: VERDICTS = not yet */
    u8 cause;   /* what a tracepoint has said of this packet; VERDICTS = nothing */
    u64 fence;  /* see before_looking() */
};

BPF_PERCPU_ARRAY(in_hooks, struct in_hook, 1);

/*
 * Datagrams that the hook consumed and whose end is still to come. An entry ends with the
 * packet's arrival at an interface or with its being freed, whatever frees it.
 */
struct waiting {
    u64 entered_ns;
    struct figure_key key;
    u32 place;      /* a waiting verdict: where it is now */
    u32 counted_as; /* where it was when it was counted */
};

BPF_TABLE("hash", u64, struct waiting, waiting, 1);

/*
 * What became of a datagram on one CPU while another was still in the hook with it: each one goes by
 * the session's queue, and whoever empties that takes what others have just put there. Kept until the
 * other CPU asks; of marks that nobody asks for, the oldest go.
 */
struct early {
    u64 ns;
    u32 verdict; /* how it ended, or where it waits */
    u32 ppp_control;
};

BPF_TABLE("lru_hash", u64, struct early, earlier, 1);

INLINE struct in_hook *this_cpu(void)
{
    int zero = 0;

    return in_hooks.lookup(&zero);
}

/*
 * On this CPU the figures of an earlier stay may still lie at PLACE: each CPU clears its own, because
 * nobody else can without being in its way. Readers leave out what has another number.
 */
INLINE void begin_stay(struct place *place)
{
    int zero = 0;
    u32 slot = place->slot;
    struct figure *figure, *empty = nothing.lookup(&zero);

    if (empty)
        figures.update(&slot, empty);
    figure = figures.lookup(&slot);
    if (figure)
        figure->number = place->number;
}

/* The figures at PLACE; none where that stay has ended, or has not begun on this CPU. */
INLINE struct figure *figure_at(struct place *place)
{
    u32 slot = place->slot;
    struct figure *figure = figures.lookup(&slot);

    return figure && place->number && figure->number == place->number ? figure : 0;
}

/* The figures of KEY and their PLACE; none where there is none yet. */
INLINE struct figure *figure_found(struct figure_key *key, struct place *place)
{
    struct place *found = places.lookup(key);
    struct figure *figure;
    u32 slot;

    place->number = 0;
    if (!found)
        return 0;
    slot = found->slot;
    figure = figures.lookup(&slot);
    if (!figure)
        return 0;
    place->slot = slot;
    place->number = found->number;
    if (figure->number != place->number)
        begin_stay(place);
    return figure;
}

/* The same where there is none yet: a slot that is vacant. */
INLINE struct figure *figure_made(struct figure_key *key, struct place *place)
{
    int zero = 0;
    struct giver *giver = givers.lookup(&zero);
    struct place made = {};
    struct slots more = {};

    if (!giver)
        return 0;
    if (!giver->slots.count) {
        if (vacant.pop(&more))
            return 0;
        giver->slots = more;
    }
    giver->last += 1;
    made.number = giver->last << 16 | bpf_get_smp_processor_id();
    made.slot = giver->slots.first;
    if (places.insert(key, &made)) /* another CPU was first, or there is no room */
        return figure_found(key, place);
    giver->slots.first += 1;
    giver->slots.count -= 1;
    return figure_found(key, place);
}

/* KEY's figures are over, and its slot is for another: whoever takes the entry away offers that. */
INLINE void leave_place(struct figure_key *key)
{
    struct place *place = places.lookup(key);
    struct slots one = {.count = 1};

    if (!place)
        return;
    one.first = place->slot;
    if (!places.delete(key))
        vacant.push(&one, 0);
}

/* floor(log2(value)), the last slot for everything above. */
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

INLINE void add_latency(struct figure *figure, u64 latency_ns)
{
    u32 slot = log2_slot(latency_ns);

    figure->latency_ns_total += latency_ns;
    HELD(slot);
    if (slot < LATENCY_SLOTS) /* for the verifier */
        figure->latency_ns_log2[slot] += 1;
}

INLINE void add_verdict(struct figure *figure, u32 verdict, u64 count)
{
    HELD(verdict);
    if (verdict < VERDICTS) /* for the verifier */
        figure->verdicts[verdict] += count;
}

/* The same outside the hook, which may come in between on this CPU. */
INLINE void move_verdict(struct figure *figure, u32 from, u32 to)
{
    HELD(from);
    if (from < VERDICTS)
        __sync_fetch_and_add(&figure->verdicts[from], -1);
    HELD(to);
    if (to < VERDICTS)
        __sync_fetch_and_add(&figure->verdicts[to], 1);
}
