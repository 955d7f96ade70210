/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a received L2TP header says: RFC 2661 §3.1, and of RFC 3931 the ids.
 */
#define UDP_HEADER 8

#define L2TP_T 0x8000
#define L2TP_L 0x4000
#define L2TP_S 0x0800
#define L2TP_O 0x0200
#define L2TP_VERSION 0x000f

/* The most that a header of version 2 has before its offset; what the driver asks for at least. */
#define HEADER_OCTETS 14

/*
 * Ids, numbers and the PPP frame's place, of the ten OCTETS of a version 2 header that begin with
 * the ids: tunnel, session; with S: Ns, Nr; with O: the offset's size.
 */
INLINE void note_version_2(struct in_hook *now, u8 *octets)
{
    u32 end = 4, offset;

    now->key.tunnel_id = octets[0] << 8 | octets[1];
    now->key.session_id = octets[2] << 8 | octets[3];
    if (now->flags & L2TP_S) {
        now->ns = octets[4] << 8 | octets[5];
        offset = octets[8] << 8 | octets[9];
        end = 8;
    } else {
        offset = octets[4] << 8 | octets[5];
    }
    if (now->flags & L2TP_O)
        end += 2 + offset;
    now->header_end = end + (now->flags & L2TP_L ? 4 : 2);
}

#define PPP_CCPFRAG 0x80fb /* linux/ppp_defs.h: CCP of one link of a bundle */

/* Who reads a frame: IP, pppd by the unit (as IPCP), or pppd by the channel (as LCP). */
enum reader { NETWORK, UNIT, CHANNEL };

/* A PPP frame begins with address and control, which may be left out (RFC 1661 §6.6). */
INLINE u8 reader_of(u8 *frame)
{
    u16 protocol = frame[0] << 8 | frame[1];

    if (protocol == 0xff03)
        protocol = frame[2] << 8 | frame[3];
    if (protocol >= 0xc000 || protocol == PPP_CCPFRAG) /* as in ppp_input() */
        return CHANNEL;
    return protocol >= 0x4000 ? UNIT : NETWORK; /* RFC 1661 §2: from there on no network data */
}

/* The frame's protocol, where it lies among the OCTETS that were read anyway. */
INLINE void note_frame(struct in_hook *now, u8 *octets, u32 read)
{
    now->frame_known = now->header_end + 4 <= read;
    if (!now->frame_known)
        return;
    if (now->header_end == 6)
        now->frame_reader = reader_of(octets + 6);
    else if (now->header_end == 8)
        now->frame_reader = reader_of(octets + 8);
    else if (now->header_end == 10)
        now->frame_reader = reader_of(octets + 10);
    else
        now->frame_known = 0;
}

/* Note what the AVAILABLE octets of L2TP header at HEADER say, of TOTAL in the datagram. */
INLINE void note_header(struct in_hook *now, void *header, u32 available, u32 total)
{
    u32 ids = 2, need, read = available < HEADER_OCTETS ? available : HEADER_OCTETS;
    u8 octets[16] = {};

    bpf_probe_read_kernel(octets, read & 15, header); /* one read: each costs a call */
    now->flags = octets[0] << 8 | octets[1];
    now->kind = now->flags & L2TP_T ? CONTROL : DATA;
    if (now->flags & L2TP_L || (now->flags & L2TP_VERSION) == 3)
        ids = 4; /* behind the Length field, or what is reserved in its place */
    need = ids + 4;
    if (total < need) {
        now->header_read = 1; /* cut short, and nothing more to read: version stays 0 */
        return;
    }
    if (available < need)
        return;
    now->header_read = 1;
    now->key.version = now->flags & L2TP_VERSION;
    if (now->key.version == 3) { /* RFC 3931 §3.2.1, §4.1.2: one id of 32 bits */
        u32 id = (u32)octets[4] << 24 | octets[5] << 16 | octets[6] << 8 | octets[7];

        if (now->kind == CONTROL)
            now->key.tunnel_id = id;
        else
            now->key.session_id = id;
        return;
    }
    if (ids == 4)
        note_version_2(now, octets + 4);
    else
        note_version_2(now, octets + 2);
    note_frame(now, octets, read);
}

/* What a program needs to know of an skb to find its header. */
struct extent {
    void *data;
    u32 length;
    u32 beyond; /* how much of it is not linear */
};

INLINE struct extent extent_of_argument(void *skb)
{
    struct extent found = {
        .data = READ_ARGUMENT(void *, skb, OFFSET_SK_BUFF_DATA),
        .length = READ_ARGUMENT(u32, skb, OFFSET_SK_BUFF_LEN),
        .beyond = READ_ARGUMENT(u32, skb, OFFSET_SK_BUFF_DATA_LEN),
    };

    return found;
}

/* The same of an skb that is no argument: its lengths are neighbours, and take one read. */
INLINE struct extent extent_of(void *skb)
{
    struct extent found = {.data = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_DATA)};
    u64 both;

    if (OFFSET_SK_BUFF_DATA_LEN != OFFSET_SK_BUFF_LEN + 4) {
        found.length = READ_KERNEL(u32, skb, OFFSET_SK_BUFF_LEN);
        found.beyond = READ_KERNEL(u32, skb, OFFSET_SK_BUFF_DATA_LEN);
        return found;
    }
    both = READ_KERNEL(u64, skb, OFFSET_SK_BUFF_LEN);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    found.length = both;
    found.beyond = both >> 32;
#else
    found.length = both >> 32;
    found.beyond = both;
#endif
    return found;
}

/* skb->data is the UDP header here; the L2TP header may lie outside the linear part. */
INLINE void note_datagram(struct in_hook *now, struct extent of)
{
    u32 linear = of.length - of.beyond;

    now->bytes = of.length > UDP_HEADER ? of.length - UDP_HEADER : 0;
    linear = linear > UDP_HEADER ? linear - UDP_HEADER : 0;
    note_header(now, of.data + UDP_HEADER, linear, now->bytes);
}

/*
 * A second chance for a header that was not linear: the driver has pulled HEADER_OCTETS together
 * before it did anything with the datagram. It moves skb->data, and never the transport header.
 */
INLINE void note_pulled_header(struct in_hook *now, void *skb)
{
    void *head = READ_KERNEL(void *, skb, OFFSET_SK_BUFF_HEAD);
    u16 at = READ_KERNEL(u16, skb, OFFSET_SK_BUFF_TRANSPORT_HEADER);

    note_header(now, head + at + UDP_HEADER, HEADER_OCTETS, now->bytes);
}

/*
 * A frame of a PPP protocol from 0xc000 on (LCP, authentication) goes to pppd by its channel, and
 * no ppp interface counts it (ppp_generic.c: ppp_input). The driver has pulled no more than
 * HEADER_OCTETS together: the protocol may lie outside the linear part still.
 */
INLINE u8 reader_in(void *skb)
{
    u8 frame[4] = {};
    struct extent of = extent_of(skb);

    if (of.length - of.beyond < 4) {
        if (of.length >= 4) /* it is there, but not here */
            count_loss(LOSS_PROTOCOL_UNREAD);
        return NETWORK;
    }
    bpf_probe_read_kernel(frame, 4, of.data);
    return reader_of(frame);
}
