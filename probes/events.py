"""Python's side of the C structures and enums in bpf/receive.c and bpf/common.h.

The sizes and counts here are passed to the compiler as -D flags, where a
_Static_assert refuses a program whose structures differ.
"""

import enum
import struct

# struct figure_key { u64 netns_cookie; u32 netns, tunnel_id, session_id, version; }
FIGURE_KEY = struct.Struct("=Q4I")

# How many powers of two of nanoseconds the latency histogram tells apart; the last takes the rest.
LATENCY_SLOTS = 32

# struct figure { u64 packets[2][2], bytes[2][2], last_seen_ns, ppp_control,
#                 latency_ns_total, latency_ns_log2[]; }
# All are sums over the CPUs, but the word at FIGURE_LAST_SEEN, of which the largest counts.
FIGURE_LAST_SEEN = 8
FIGURE = struct.Struct(f"={FIGURE_LAST_SEEN + 3 + LATENCY_SLOTS}Q")


class Loss(enum.IntEnum):
    """Why something that the probes saw is in no figure (enum loss)."""

    FIGURES_FULL = 0
    HEADER_UNREAD = 1
    RETURN_UNMATCHED = 2
    ENTRY_UNMATCHED = 3
    LATENCY_UNMATCHED = 4
    PROTOCOL_UNREAD = 5


LOSS_MEANINGS = {
    Loss.FIGURES_FULL: "datagrams of a netns, tunnel and session for which the table had no room",
    Loss.HEADER_UNREAD: "datagrams whose L2TP header could not be read: counted under the ids 0/0",
    Loss.RETURN_UNMATCHED: "datagrams that were in the driver before the probes came",
    Loss.ENTRY_UNMATCHED: "datagrams that were seen to enter the driver, and not to leave it",
    Loss.LATENCY_UNMATCHED: "frames that reached an interface in another buffer: without latency",
    Loss.PROTOCOL_UNREAD: "frames whose PPP protocol could not be read: not in ppp_control_packets",
}


def compiler_flags() -> list[str]:
    """Say the sizes that this module counts on, for the compiler to check."""
    return [
        f"-DSIZEOF_FIGURE_KEY={FIGURE_KEY.size}",
        f"-DSIZEOF_FIGURE={FIGURE.size}",
        f"-DLATENCY_SLOTS={LATENCY_SLOTS}",
        f"-DLOSS_COUNT={len(Loss)}",
    ]
