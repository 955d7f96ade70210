// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Which way does one packet take through the kernel, and where does it end?
 *
 * Chosen packets are followed by the address of their sk_buff from hook to
 * hook. An address is used again within milliseconds: each journey therefore
 * has a generation, the time of its beginning, and ends when the packet is
 * freed or has reached its interface.
 */

/* The order of probes/journeys/events.py: Hop. */
enum hop {
    PPP_START_XMIT,
    PPPOL2TP_XMIT,
    L2TP_XMIT_SKB,
    IP_QUEUE_XMIT,
    INET6_CSK_XMIT,
    NET_DEV_QUEUE,
    NET_DEV_START_XMIT,
    NETIF_RECEIVE_SKB,
    ENCAP_RECV,
    RECV_COMMON,
    PPPOL2TP_RECV,
    PPP_INPUT,
    NETIF_RX,
    PASSED_UP,
    CLONED,
    RECEIVED,  /* by the stack, from the interface that NETIF_RX gave it to: the end */
    DROPPED,   /* freed as lost: the end */
    CONSUMED,  /* freed as done: the end */
    HOPS,
};

/* The order of probes/journeys/events.py: Cause. Said by a tracepoint before the driver frees. */
enum cause { NO_CAUSE, OUT_OF_SEQUENCE, EXPIRED, OUTSIDE_WINDOW, CAUSES };

/* The order of probes/journeys/events.py: JourneyLoss. */
enum journey_loss {
    JOURNEY_NO_ROOM_FOR_EVENT, /* the ring buffer was full */
    JOURNEY_NO_ROOM_TO_FOLLOW, /* a chosen packet that could not be noted */
    JOURNEY_INNER_UNREAD,      /* a received packet that could not be held against the choice */
    JOURNEY_LOSSES,
};

BPF_PERCPU_ARRAY(journey_losses, u64, JOURNEY_LOSSES);

INLINE void count_journey_loss(int what)
{
    u64 *count = journey_losses.lookup(&what);

    if (count)
        *count += 1;
}

struct place {
    u32 netns;
    u32 ifindex;
    char interface[16];
};

struct ids {
    u32 tunnel_id, session_id; /* of this end; the others are the peer's. 0 = not known here */
    u32 peer_tunnel_id, peer_session_id;
};

/* probes/journeys/events.py: EVENT. */
struct journey_event {
    u64 time_ns; /* CLOCK_MONOTONIC */
    u64 skb;
    u64 generation;
    u64 detail[2]; /* DROPPED: reason, code address. CLONED: the original's skb and generation */
    u32 hop;
    u32 length;
    struct place place;
    struct ids ids;
    u32 cause;
    u32 octets; /* of the packet, in packet[] */
    u8 packet[SNAP];
};

_Static_assert(sizeof(struct journey_event) == SIZEOF_JOURNEY_EVENT, "EVENT differs");
_Static_assert(HOPS == HOP_COUNT, "Hop differs");
_Static_assert(CAUSES == CAUSE_COUNT, "Cause differs");
_Static_assert(JOURNEY_LOSSES == JOURNEY_LOSS_COUNT, "JourneyLoss differs");

/* What is to be followed; probes/journeys/events.py: CHOICE. Zero is "any" everywhere. */
struct choice {
    u64 budget;    /* how many journeys may still begin */
    u64 seen;      /* packets that were eligible */
    u32 one_in;
    u32 directions; /* bit 0: from our interfaces on; bit 1: from the driver's receiving hook on */
    u32 netns;      /* where a journey begins */
    u32 tunnel_id, session_id; /* of either end */
    u32 family;     /* 4 or 6, of the inner address */
    u32 ip_protocol; /* inner; 1 + the number */
    u32 ppp_protocol;
    u8 address[16]; /* inner, source or destination */
};

_Static_assert(sizeof(struct choice) == SIZEOF_CHOICE, "CHOICE differs");

BPF_ARRAY(choices, struct choice, 1);

BPF_RINGBUF_OUTPUT(events, 1);

struct followed {
    u64 generation;
    u32 at; /* the last hop */
    u32 ppp_protocol;
};

/* The least recently used goes first where a free was never seen. */
BPF_TABLE("lru_hash", u64, struct followed, journeys, 1);

/* By skb->head, which a clone shares: the packet that is being cloned. */
BPF_TABLE("lru_hash", u64, u64, cloning, 64);

/* The packet that an interface of ours transmits on this CPU, before its session is known. */
struct departure {
    u64 skb;
    u64 time_ns;
    u64 pppol2tp_ns;
    u32 decided; /* there is nothing more to ask about it */
    u32 length, pppol2tp_length, octets;
    struct place place;
    u8 packet[SNAP];
};

BPF_PERCPU_ARRAY(departures, struct departure, 1);

/* What the driver said last about a packet on this CPU, and the packet in its receiving hook. */
struct in_driver {
    u64 skb;
    u64 sk;
    u64 time_ns; /* when it came, and how long it was */
    u32 length;
    u32 cause;
    u32 unread; /* its ids lay outside the linear buffer then */
    u32 pad;
};

BPF_PERCPU_ARRAY(in_drivers, struct in_driver, 1);

#define IPV4_OCTETS 20
#define IPV6_OCTETS 40

#define SKB_LEN(skb) READ_KERNEL(u32, skb, OFFSET_SK_BUFF_LEN)
#define SKB_DATA(skb) READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DATA)

INLINE void place_of_net(struct place *place, void *net)
{
    place->netns = READ_KERNEL(u32, net, OFFSET_NET_NS + OFFSET_NS_COMMON_INUM);
}

INLINE void place_of_device(struct place *place, void *device)
{
    place_of_net(place, READ_KERNEL(void *, device, OFFSET_NET_DEVICE_ND_NET));
    place->ifindex = READ_KERNEL(u32, device, OFFSET_NET_DEVICE_IFINDEX);
    bpf_probe_read_kernel(place->interface, sizeof(place->interface),
                          device + OFFSET_NET_DEVICE_NAME);
}

INLINE void ids_of_session(struct ids *ids, struct place *place, void *session)
{
    void *tunnel = READ_KERNEL(void *, session, OFFSET_L2TP_SESSION_TUNNEL);

    ids->session_id = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_SESSION_ID);
    ids->peer_session_id = READ_KERNEL(u32, session, OFFSET_L2TP_SESSION_PEER_SESSION_ID);
    ids->tunnel_id = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_TUNNEL_ID);
    ids->peer_tunnel_id = READ_KERNEL(u32, tunnel, OFFSET_L2TP_TUNNEL_PEER_TUNNEL_ID);
    place_of_net(place, READ_KERNEL(void *, tunnel, OFFSET_L2TP_TUNNEL_L2TP_NET));
}

/* Copy what lies in the linear part from FROM on, at most SNAP octets; says how many. */
INLINE u32 copy_packet(u8 *to, void *skb, void *from)
{
    u32 linear = SKB_LEN(skb) - READ_KERNEL(u32, skb, OFFSET_SK_BUFF_DATA_LEN);
    long octets = SKB_DATA(skb) + linear - from;

    if (octets <= 0)
        return 0;
    if (octets > SNAP)
        octets = SNAP;
    return bpf_probe_read_kernel(to, octets, from) ? 0 : octets;
}

INLINE struct journey_event *new_event(u64 skb, struct followed *journey, u32 hop)
{
    struct journey_event *event = events.ringbuf_reserve(sizeof(struct journey_event));

    if (!event) {
        count_journey_loss(JOURNEY_NO_ROOM_FOR_EVENT);
        return 0;
    }
    __builtin_memset(event, 0, sizeof(*event) - SNAP);
    event->time_ns = bpf_ktime_get_ns();
    event->skb = skb;
    event->generation = journey->generation;
    event->hop = hop;
    return event;
}

/* Nobody is woken: the reader comes by itself. */
INLINE void put_event(struct journey_event *event)
{
    events.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

INLINE struct choice *the_choice(void)
{
    int zero = 0;

    return choices.lookup(&zero);
}

INLINE struct departure *departure_here(void)
{
    int zero = 0;

    return departures.lookup(&zero);
}

INLINE struct in_driver *driver_here(void)
{
    int zero = 0;

    return in_drivers.lookup(&zero);
}

/* Whether one more journey may begin: one in so many, and not more than asked for. */
INLINE int admit(struct choice *choice)
{
    u64 number = __sync_fetch_and_add(&choice->seen, 1);

    if (choice->one_in > 1 && number % choice->one_in)
        return 0;
    if ((s64)__sync_fetch_and_add(&choice->budget, -1) <= 0) {
        __sync_fetch_and_add(&choice->budget, 1);
        return 0;
    }
    return 1;
}

INLINE int same_octets(u8 *one, u8 *two, int octets)
{
    u32 differ = 0;

#pragma unroll
    for (int i = 0; i < 16; i++)
        if (i < octets)
            differ |= one[i] ^ two[i];
    return !differ;
}

INLINE void *linear_end(void *skb)
{
    return SKB_DATA(skb) + SKB_LEN(skb) - READ_KERNEL(u32, skb, OFFSET_SK_BUFF_DATA_LEN);
}

/* Whether the IP packet at IP is one that was asked for; IP is 0 where there is none. */
INLINE int inner_fits(struct choice *choice, void *ip, u32 ppp_protocol)
{
    u8 header[40] = {};

    if (choice->ppp_protocol && choice->ppp_protocol != ppp_protocol)
        return 0;
    if (!choice->family && !choice->ip_protocol)
        return 1;
    if (!ip || bpf_probe_read_kernel(header, 20, ip))
        return 0;
    if (header[0] >> 4 == 4) {
        if (choice->ip_protocol && choice->ip_protocol != 1 + header[9])
            return 0;
        if (!choice->family)
            return 1;
        return choice->family == 4 && (same_octets(choice->address, header + 12, 4) ||
                                       same_octets(choice->address, header + 16, 4));
    }
    if (header[0] >> 4 != 6 || bpf_probe_read_kernel(header + 20, 20, ip + 20))
        return 0;
    if (choice->ip_protocol && choice->ip_protocol != 1 + header[6])
        return 0;
    if (!choice->family)
        return 1;
    return choice->family == 6 && (same_octets(choice->address, header + 8, 16) ||
                                   same_octets(choice->address, header + 24, 16));
}

INLINE int session_fits(struct choice *choice, struct ids *ids)
{
    if (choice->tunnel_id && choice->tunnel_id != ids->tunnel_id &&
        choice->tunnel_id != ids->peer_tunnel_id)
        return 0;
    return !choice->session_id || choice->session_id == ids->session_id ||
           choice->session_id == ids->peer_session_id;
}

/* Say what the PPP frame at FRAME carries, and where that begins. RFC 1661 §6.5, §6.6. */
INLINE void *inside_ppp(void *frame, u32 *ppp_protocol)
{
    u8 octets[4] = {};
    u32 at = 0;

    bpf_probe_read_kernel(octets, 4, frame);
    if (octets[0] == 0xff && octets[1] == 0x03) {
        octets[0] = octets[2];
        octets[1] = octets[3];
        at = 2;
    }
    if (octets[0] & 1) { /* the compressed form: one octet */
        *ppp_protocol = octets[0];
        at += 1;
    } else {
        *ppp_protocol = octets[0] << 8 | octets[1];
        at += 2;
    }
    return *ppp_protocol == 0x21 || *ppp_protocol == 0x57 ? frame + at : 0;
}

/* A new journey of the packet; one that was at this address before has ended unseen. */
INLINE int begin(u64 skb, struct followed *journey, u32 hop, u32 ppp_protocol)
{
    journey->generation = bpf_ktime_get_ns();
    journey->at = hop;
    journey->ppp_protocol = ppp_protocol;
    if (journeys.update(&skb, journey)) {
        count_journey_loss(JOURNEY_NO_ROOM_TO_FOLLOW);
        return 0;
    }
    return 1;
}

INLINE void put_departure(u64 skb, struct departure *from, struct followed *journey)
{
    struct journey_event *event = new_event(skb, journey, PPP_START_XMIT);

    if (!event)
        return;
    event->time_ns = from->time_ns;
    event->length = from->length;
    event->place = from->place;
    event->octets = from->octets;
    bpf_probe_read_kernel(event->packet, SNAP, from->packet);
    put_event(event);
}

/*
 * Nothing in the receiving driver goes back to a device but by the transmitting driver (bridged):
 * a packet seen there has got the address of one whose free was not seen.
 */
INLINE int is_another_packet(struct followed *journey, u32 hop)
{
    if (hop != NET_DEV_QUEUE && hop != NET_DEV_START_XMIT && hop != NETIF_RECEIVE_SKB)
        return 0;
    return journey->at >= ENCAP_RECV && journey->at <= PASSED_UP;
}

/* A packet that is followed has come to a hop that has nothing more to say of it. */
INLINE int passed(void *skb, u32 hop, void *device)
{
    u64 address = (u64)skb;
    struct followed *journey = journeys.lookup(&address);
    struct journey_event *event;

    if (!journey)
        return 0;
    if (is_another_packet(journey, hop)) {
        journeys.delete(&address);
        return 0;
    }
    journey->at = hop;
    event = new_event(address, journey, hop);
    if (!event)
        return 0;
    event->length = SKB_LEN(skb);
    if (device)
        place_of_device(&event->place, device);
    if (hop == NET_DEV_START_XMIT || hop == NETIF_RX)
        event->octets = copy_packet(event->packet, skb, SKB_DATA(skb));
    put_event(event);
    return 0;
}

INLINE int on_ppp_start_xmit(void *skb, void *device)
{
    struct choice *choice = the_choice();
    struct departure *from = departure_here();
    struct followed journey = {};
    u64 address = (u64)skb;

    if (!choice || !from || !(choice->directions & 1))
        return 0;
    from->skb = address;
    from->decided = 1;
    from->time_ns = bpf_ktime_get_ns();
    from->pppol2tp_ns = 0;
    place_of_device(&from->place, device);
    if ((s64)choice->budget <= 0 || (choice->netns && choice->netns != from->place.netns) ||
        choice->ppp_protocol || !inner_fits(choice, SKB_DATA(skb), 0))
        return 0;
    from->length = SKB_LEN(skb);
    from->octets = copy_packet(from->packet, skb, SKB_DATA(skb));
    if (choice->tunnel_id || choice->session_id) {
        from->decided = 0;
        return 0;
    }
    if (admit(choice) && begin(address, &journey, PPP_START_XMIT, 0))
        put_departure(address, from, &journey);
    return 0;
}

INLINE int on_pppol2tp_xmit(void *skb)
{
    struct departure *from = departure_here();

    if (from && from->skb == (u64)skb && !from->decided) {
        from->pppol2tp_ns = bpf_ktime_get_ns();
        from->pppol2tp_length = SKB_LEN(skb);
        return 0;
    }
    return passed(skb, PPPOL2TP_XMIT, 0);
}

/* The session is known: begin a journey that only waited for that, or one of a frame of pppd's. */
INLINE int begin_at_session(void *skb, struct ids *ids, struct place *place,
                            struct followed *journey)
{
    struct choice *choice = the_choice();
    struct departure *from = departure_here();
    struct in_driver *driver = driver_here();
    u64 address = (u64)skb;
    u32 ppp_protocol = 0;
    struct journey_event *event;

    if (!choice || !from || !driver || !(choice->directions & 1) || (s64)choice->budget <= 0)
        return 0;
    if (from->skb == address) {
        from->skb = 0;
        if (from->decided || !session_fits(choice, ids) || !admit(choice) ||
            !begin(address, journey, PPP_START_XMIT, 0))
            return 0;
        put_departure(address, from, journey);
        event = from->pppol2tp_ns ? new_event(address, journey, PPPOL2TP_XMIT) : 0;
        if (event) {
            event->time_ns = from->pppol2tp_ns;
            event->length = from->pppol2tp_length;
            put_event(event);
        }
        return 1;
    }
    if (driver->skb == address) /* bridged from a session whose packet was not chosen */
        return 0;
    if ((choice->netns && choice->netns != place->netns) || !session_fits(choice, ids) ||
        !inner_fits(choice, inside_ppp(SKB_DATA(skb), &ppp_protocol), ppp_protocol))
        return 0;
    return admit(choice) && begin(address, journey, L2TP_XMIT_SKB, ppp_protocol);
}

INLINE int on_l2tp_xmit_skb(void *session, void *skb)
{
    u64 address = (u64)skb;
    struct followed *known = journeys.lookup(&address), journey = {};
    struct journey_event *event;
    struct place place = {};
    struct ids ids = {};

    ids_of_session(&ids, &place, session);
    if (known) {
        known->at = L2TP_XMIT_SKB;
        journey = *known;
    } else if (!begin_at_session(skb, &ids, &place, &journey)) {
        return 0;
    }
    event = new_event(address, &journey, L2TP_XMIT_SKB);
    if (!event)
        return 0;
    event->length = SKB_LEN(skb);
    event->ids = ids;
    event->place = place;
    event->octets = copy_packet(event->packet, skb, SKB_DATA(skb));
    put_event(event);
    return 0;
}

/*
 * Whose frame is in the datagram whose UDP header is at UDP, and where does it begin? 0 where it
 * is no data, or where not all of the header lies before END.
 */
INLINE void *ppp_in_datagram(void *udp, void *end, struct ids *ids)
{
    u8 octets[8] = {}, offset[2] = {};
    void *at = udp + 8;
    u32 flags;

    if (at + 8 > end)
        return 0;
    bpf_probe_read_kernel(octets, 8, at);
    flags = octets[0] << 8 | octets[1];
    if (flags & 0x8000 || (flags & 0xf) != 2)
        return 0;
    if (flags & 0x4000) {
        ids->tunnel_id = octets[4] << 8 | octets[5];
        ids->session_id = octets[6] << 8 | octets[7];
        at += 8;
    } else {
        ids->tunnel_id = octets[2] << 8 | octets[3];
        ids->session_id = octets[4] << 8 | octets[5];
        at += 6;
    }
    if (flags & 0x0800)
        at += 4;
    if (flags & 0x0200) {
        if (at + 2 > end)
            return 0;
        bpf_probe_read_kernel(offset, 2, at);
        at += 2 + (offset[0] << 8 | offset[1]);
    }
    return at;
}

/*
 * Whether a received datagram is one that was asked for. What it takes to tell may lie outside the
 * linear buffer, behind END; a frame that ends too early does not fit.
 */
INLINE int received_fits(struct choice *choice, struct place *place, struct ids *ids, void *skb,
                         void *frame, u32 *ppp_protocol)
{
    void *end = linear_end(skb), *ip = 0;
    u32 asks_ip = choice->family || choice->ip_protocol, octets;

    if ((choice->netns && choice->netns != place->netns) || !session_fits(choice, ids))
        return 0;
    if (frame + 4 <= end)
        ip = inside_ppp(frame, ppp_protocol);
    else if (choice->ppp_protocol || asks_ip)
        goto unread;
    if (ip && asks_ip) {
        octets = ip < end && READ_KERNEL(u8, ip, 0) >> 4 == 6 ? IPV6_OCTETS : IPV4_OCTETS;
        if (ip + octets > end)
            goto unread;
    }
    return inner_fits(choice, ip, *ppp_protocol);
unread:
    if (READ_KERNEL(u32, skb, OFFSET_SK_BUFF_DATA_LEN))
        count_journey_loss(JOURNEY_INNER_UNREAD);
    return 0;
}

/* Where does a packet begin its journey that comes from elsewhere, and was not seen to leave? */
INLINE int begin_received(void *skb, struct ids *ids, struct place *place, void *frame,
                          struct followed *journey)
{
    struct choice *choice = the_choice();
    u32 ppp_protocol = 0;

    if (!frame || !choice || !(choice->directions & 2) || (s64)choice->budget <= 0)
        return 0;
    return received_fits(choice, place, ids, skb, frame, &ppp_protocol) && admit(choice) &&
           begin((u64)skb, journey, ENCAP_RECV, ppp_protocol);
}

INLINE void put_arrival(void *skb, struct followed *journey, struct in_driver *driver,
                        struct place *place, struct ids *ids)
{
    struct journey_event *event = new_event((u64)skb, journey, ENCAP_RECV);
    void *head;

    if (!event)
        return;
    event->time_ns = driver->time_ns;
    event->length = driver->length;
    event->ids = *ids;
    event->place = *place;
    head = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_HEAD);
    event->octets = copy_packet(
        event->packet, skb, head + READ_KERNEL(u16, skb, OFFSET_SK_BUFF_NETWORK_HEADER));
    put_event(event);
}

INLINE int on_encap_recv(void *sk, void *skb)
{
    u64 address = (u64)skb;
    struct followed *known = journeys.lookup(&address), journey = {};
    struct in_driver *driver = driver_here();
    struct place place = {};
    struct ids ids = {};
    void *ppp;

    if (!driver)
        return 0;
    driver->skb = address;
    driver->sk = (u64)sk;
    driver->time_ns = bpf_ktime_get_ns();
    driver->length = SKB_LEN(skb);
    driver->cause = NO_CAUSE;
    driver->unread = 0;
    place_of_net(&place, READ_KERNEL(void *, sk, OFFSET_SOCK_COMMON_SKC_NET));
    ppp = ppp_in_datagram(SKB_DATA(skb), linear_end(skb), &ids);
    if (known) {
        known->at = ENCAP_RECV;
        journey = *known;
    } else if (!ppp) {
        driver->unread = 1; /* control, or whose it is can be read when the driver has pulled it */
        return 0;
    } else if (!begin_received(skb, &ids, &place, ppp, &journey)) {
        return 0;
    }
    put_arrival(skb, &journey, driver, &place, &ids);
    return 0;
}

/*
 * A datagram whose header was not linear when it came: the driver has pulled HEADER_OCTETS by now.
 * Its journey begins with its arrival all the same.
 */
INLINE int begin_unread(void *skb, struct in_driver *driver, struct followed *journey)
{
    void *udp = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_HEAD);
    struct place place = {};
    struct ids ids = {};

    driver->unread = 0;
    udp += READ_KERNEL(u16, skb, OFFSET_SK_BUFF_TRANSPORT_HEADER);
    place_of_net(&place, READ_KERNEL(void *, (void *)driver->sk, OFFSET_SOCK_COMMON_SKC_NET));
    if (!begin_received(skb, &ids, &place, ppp_in_datagram(udp, linear_end(skb), &ids), journey))
        return 0;
    put_arrival(skb, journey, driver, &place, &ids);
    return 1;
}

/* The hook has returned: 1 gives the datagram to the socket; 0 says no more than other hops do. */
INLINE int on_encap_returned(int passed_up)
{
    struct in_driver *driver = driver_here();
    struct followed journey = {};
    void *skb;

    if (!driver)
        return 0;
    skb = (void *)driver->skb;
    if (passed_up && skb && driver->unread)
        begin_unread(skb, driver, &journey);
    driver->skb = 0;
    driver->cause = NO_CAUSE;
    return passed_up && skb ? passed(skb, PASSED_UP, 0) : 0;
}

INLINE int on_recv_common(void *session, void *skb)
{
    u64 address = (u64)skb;
    struct followed *known = journeys.lookup(&address), journey = {};
    struct in_driver *driver = driver_here();
    struct journey_event *event;

    if (known)
        journey = *known;
    else if (!driver || driver->skb != address || !driver->unread ||
             !begin_unread(skb, driver, &journey))
        return 0;
    known = journeys.lookup(&address);
    if (known)
        known->at = RECV_COMMON;
    event = new_event(address, &journey, RECV_COMMON);
    if (!event)
        return 0;
    event->length = SKB_LEN(skb);
    ids_of_session(&event->ids, &event->place, session);
    put_event(event);
    return 0;
}

/* Both that veth gives to its peer and that PPP gives to its interface come by; this is PPP's. */
INLINE int on_netif_rx(void *skb)
{
    u64 address = (u64)skb;
    struct followed *journey = journeys.lookup(&address);

    if (!journey || (journey->at != PPP_INPUT && journey->at != PPPOL2TP_RECV))
        return 0;
    return passed(skb, NETIF_RX, READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DEV));
}

INLINE int on_received(void *skb)
{
    u64 address = (u64)skb;
    struct followed *journey = journeys.lookup(&address);
    void *device;
    u32 hop;

    if (!journey)
        return 0;
    device = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DEV);
    hop = journey->at == NETIF_RX ? RECEIVED : NETIF_RECEIVE_SKB;
    passed(skb, hop, device);
    if (hop == RECEIVED)
        journeys.delete(&address);
    return 0;
}

INLINE int on_freed(void *skb, u32 hop, u64 location, u64 reason)
{
    u64 address = (u64)skb;
    struct followed *journey = journeys.lookup(&address);
    struct in_driver *driver = driver_here();
    struct journey_event *event;
    u32 cause = NO_CAUSE;

    if (driver && hop == DROPPED && driver->cause) { /* said of this packet, followed or not */
        cause = driver->cause;
        driver->cause = NO_CAUSE;
    }
    if (!journey)
        return 0;
    event = new_event(address, journey, hop);
    if (event) {
        event->length = SKB_LEN(skb);
        event->detail[0] = reason;
        event->detail[1] = location;
        event->cause = cause;
        put_event(event);
    }
    journeys.delete(&address);
    return 0;
}

INLINE int on_cause(u32 cause)
{
    struct in_driver *driver = driver_here();

    if (driver)
        driver->cause = cause;
    return 0;
}

INLINE int on_clone_begins(void *skb)
{
    u64 address = (u64)skb, head;
    struct followed *journey = journeys.lookup(&address);

    if (!journey || is_another_packet(journey, NET_DEV_QUEUE)) /* the driver clones nothing */
        return 0;
    head = READ_KERNEL(u64, skb, OFFSET_SK_BUFF_HEAD);
    cloning.update(&head, &address);
    return 0;
}

/* A clone is followed as a journey of its own that knows where it came from. */
INLINE int on_cloned(void *clone)
{
    u64 head, *original, parent, address = (u64)clone;
    struct followed *journey, copy = {};
    struct journey_event *event;

    if (!clone)
        return 0;
    head = READ_KERNEL(u64, clone, OFFSET_SK_BUFF_HEAD);
    original = cloning.lookup(&head);
    if (!original)
        return 0;
    parent = *original;
    cloning.delete(&head);
    journey = journeys.lookup(&parent);
    if (!journey || !begin(address, &copy, journey->at, journey->ppp_protocol))
        return 0;
    event = new_event(address, &copy, CLONED);
    if (!event)
        return 0;
    event->length = SKB_LEN(clone);
    event->detail[0] = parent;
    event->detail[1] = journey->generation;
    put_event(event);
    return 0;
}

RAW_TRACEPOINT_PROBE(net_dev_queue)
{
    void *skb = (void *)ctx->args[0];

    return passed(skb, NET_DEV_QUEUE, READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DEV));
}

RAW_TRACEPOINT_PROBE(net_dev_start_xmit)
{
    return passed((void *)ctx->args[0], NET_DEV_START_XMIT, (void *)ctx->args[1]);
}

RAW_TRACEPOINT_PROBE(netif_receive_skb)
{
    return on_received((void *)ctx->args[0]);
}

RAW_TRACEPOINT_PROBE(netif_rx)
{
    return on_netif_rx((void *)ctx->args[0]);
}

RAW_TRACEPOINT_PROBE(kfree_skb)
{
    return on_freed((void *)ctx->args[0], DROPPED, ctx->args[1], (u32)ctx->args[2]);
}

RAW_TRACEPOINT_PROBE(consume_skb)
{
    return on_freed((void *)ctx->args[0], CONSUMED, 0, 0);
}

RAW_TRACEPOINT_PROBE(session_pkt_oos)
{
    return on_cause(OUT_OF_SEQUENCE);
}

RAW_TRACEPOINT_PROBE(session_pkt_expired)
{
    return on_cause(EXPIRED);
}

RAW_TRACEPOINT_PROBE(session_pkt_outside_rx_window)
{
    return on_cause(OUTSIDE_WINDOW);
}

#if FENTRY

MODULE_KFUNC_PROBE(ppp_generic, ppp_start_xmit, void *skb, void *dev)
{
    return on_ppp_start_xmit(skb, dev);
}

MODULE_KFUNC_PROBE(l2tp_ppp, pppol2tp_xmit, void *chan, void *skb)
{
    return on_pppol2tp_xmit(skb);
}

MODULE_KFUNC_PROBE(l2tp_core, l2tp_xmit_skb, void *session, void *skb)
{
    return on_l2tp_xmit_skb(session, skb);
}

KFUNC_PROBE(ip_queue_xmit, void *sk, void *skb)
{
    return passed(skb, IP_QUEUE_XMIT, 0);
}

KFUNC_PROBE(inet6_csk_xmit, void *sk, void *skb)
{
    return passed(skb, INET6_CSK_XMIT, 0);
}

MODULE_KFUNC_PROBE(l2tp_core, l2tp_udp_encap_recv, void *sk, void *skb)
{
    return on_encap_recv(sk, skb);
}

MODULE_KRETFUNC_PROBE(l2tp_core, l2tp_udp_encap_recv, void *sk, void *skb, int ret)
{
    return on_encap_returned(ret);
}

MODULE_KFUNC_PROBE(l2tp_core, l2tp_recv_common, void *session, void *skb)
{
    return on_recv_common(session, skb);
}

MODULE_KFUNC_PROBE(l2tp_ppp, pppol2tp_recv, void *session, void *skb)
{
    return passed(skb, PPPOL2TP_RECV, 0);
}

MODULE_KFUNC_PROBE(ppp_generic, ppp_input, void *chan, void *skb)
{
    return passed(skb, PPP_INPUT, 0);
}

KFUNC_PROBE(skb_clone, void *skb)
{
    return on_clone_begins(skb);
}

KRETFUNC_PROBE(skb_clone, void *skb, u32 priority, void *ret)
{
    return on_cloned(ret);
}

#else

#define FIRST(ctx) ((void *)PT_REGS_PARM1(ctx))
#define SECOND(ctx) ((void *)PT_REGS_PARM2(ctx))

int journey_ppp_start_xmit(struct pt_regs *ctx)
{
    return on_ppp_start_xmit(FIRST(ctx), SECOND(ctx));
}

int journey_pppol2tp_xmit(struct pt_regs *ctx)
{
    return on_pppol2tp_xmit(SECOND(ctx));
}

int journey_l2tp_xmit_skb(struct pt_regs *ctx)
{
    return on_l2tp_xmit_skb(FIRST(ctx), SECOND(ctx));
}

int journey_ip_queue_xmit(struct pt_regs *ctx)
{
    return passed(SECOND(ctx), IP_QUEUE_XMIT, 0);
}

int journey_inet6_csk_xmit(struct pt_regs *ctx)
{
    return passed(SECOND(ctx), INET6_CSK_XMIT, 0);
}

int journey_encap_recv(struct pt_regs *ctx)
{
    return on_encap_recv(FIRST(ctx), SECOND(ctx));
}

int journey_encap_returned(struct pt_regs *ctx)
{
    return on_encap_returned((int)PT_REGS_RC(ctx));
}

int journey_recv_common(struct pt_regs *ctx)
{
    return on_recv_common(FIRST(ctx), SECOND(ctx));
}

int journey_pppol2tp_recv(struct pt_regs *ctx)
{
    return passed(SECOND(ctx), PPPOL2TP_RECV, 0);
}

int journey_ppp_input(struct pt_regs *ctx)
{
    return passed(SECOND(ctx), PPP_INPUT, 0);
}

int journey_clone_begins(struct pt_regs *ctx)
{
    return on_clone_begins(FIRST(ctx));
}

int journey_cloned(struct pt_regs *ctx)
{
    return on_cloned((void *)PT_REGS_RC(ctx));
}

#endif
