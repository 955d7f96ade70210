/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What can become of a packet in the driver. probes/figures/verdicts.py has the same
 * names and numbers, what each means, and which counter records it.
 */
#ifndef PROBES_VERDICTS_H
#define PROBES_VERDICTS_H

enum verdict {
    /* received, and taken */
    VERDICT_DELIVERED,
    VERDICT_READ,
    VERDICT_BRIDGED,
    VERDICT_PSEUDOWIRE,
    /* received, and passed up to the tunnel's UDP socket */
    VERDICT_CONTROL,
    VERDICT_UNKNOWN_SESSION,
    VERDICT_WRONG_VERSION,
    VERDICT_TOO_SHORT,
    /* received, and dropped by the driver */
    VERDICT_OUT_OF_SEQUENCE,
    VERDICT_EXPIRED,
    VERDICT_OUTSIDE_WINDOW,
    VERDICT_SEQUENCE_REQUIRED,
    VERDICT_BAD_OFFSET,
    VERDICT_WRONG_COOKIE,
    VERDICT_REORDER_PURGED,
    VERDICT_SOCKET_FULL,
    VERDICT_NO_SOCKET,
    /* received, and dropped by PPP */
    VERDICT_CHANNEL_GONE,
    VERDICT_QUEUE_FULL,
    VERDICT_PPP_REFUSED,
    VERDICT_CLOSED_UNREAD,
    /* received, and not understood */
    VERDICT_UNKNOWN_CAUSE,
    VERDICT_LOST_FROM_SIGHT,
    /* received, and not final yet: how many there are now */
    VERDICT_WAITING_REORDER,
    VERDICT_WAITING_PPP,
    VERDICT_WAITING_SOCKET,
    /* transmitted */
    VERDICT_SENT,
    VERDICT_NOT_CONNECTED,
    VERDICT_SOCKET_BUSY,
    VERDICT_TOO_LONG,
    VERDICT_SEND_FAILED,
    VERDICT_SEND_ABORTED,
    VERDICTS,
};

#ifdef VERDICT_COUNT
_Static_assert(VERDICTS == VERDICT_COUNT, "verdicts.Verdict differs");
#endif

#endif
