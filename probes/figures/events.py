"""Python's side of the C structures and enums in bpf/records.h and bpf/common.h.

The sizes and counts here are passed to the compiler as -D flags, where a
_Static_assert refuses a program whose structures differ.
"""

import enum
import struct

from probes.figures.verdicts import Verdict

# struct figure_key { u64 netns_cookie; u32 netns, tunnel_id, session_id, version; }
FIGURE_KEY = struct.Struct("=Q4I")

# How many powers of two of nanoseconds the latency histogram tells apart; the last takes the rest.
LATENCY_SLOTS = 32

# struct figure { u64 packets[2][2], bytes[2][2], last_seen_ns, ppp_control, latency_ns_total,
#                 tx_bytes, tx_ns_total, number, verdicts[], latency_ns_log2[], tx_ns_log2[]; }
# All are sums over the CPUs, modulo 2^64, but the word at FIGURE_LAST_SEEN: the largest counts; and
# the last of the scalars, which is the programs' own.
FIGURE_LAST_SEEN = 8
FIGURE_SCALARS = 14
FIGURE = struct.Struct(f"={FIGURE_SCALARS + len(Verdict) + 2 * LATENCY_SLOTS}Q")

# struct place { u64 number; u32 slot, padding; }
PLACE = struct.Struct("=QI4x")

# struct slots { u32 first, count; }
SLOTS = struct.Struct("=2I")

# struct session_note: the fields of SessionNote, in this order, and padding.
SESSION = struct.Struct("=9Q10I2H16s16s32s4x")

# struct settings { u64 ppp_text, ppp_text_end, l2tp_text, l2tp_text_end;
#                   u32 sees_ppp, sees_frees; }
SETTINGS = struct.Struct("=4Q2I")

# struct steady { u64 generation, one_in, tells; }
STEADY = struct.Struct("=3Q")


class Loss(enum.IntEnum):
    """Why something that the probes saw is in no figure (enum loss)."""

    FIGURES_FULL = 0
    HEADER_UNREAD = 1
    RETURN_UNMATCHED = 2
    ENTRY_UNMATCHED = 3
    LATENCY_UNMATCHED = 4
    PROTOCOL_UNREAD = 5
    WAITING_FULL = 6
    SESSIONS_FULL = 7
    SEND_UNMATCHED = 8


LOSS_MEANINGS = {
    Loss.FIGURES_FULL: "datagrams of a netns, tunnel and session for which the table had no room",
    Loss.HEADER_UNREAD: "datagrams whose L2TP header could not be read: counted under the ids 0/0",
    Loss.RETURN_UNMATCHED: "datagrams that were seen to leave the driver, and not to enter it",
    Loss.ENTRY_UNMATCHED: "datagrams that were seen to enter the driver, and not to leave it",
    Loss.LATENCY_UNMATCHED: "frames that reached an interface in another buffer: without latency",
    Loss.PROTOCOL_UNREAD: "frames whose PPP protocol could not be read: not in ppp_control_packets",
    Loss.WAITING_FULL: "packets that wait and could not be noted: they are lost from sight",
    Loss.SESSIONS_FULL: "sessions without ids of the peer and without a view of their numbers",
    Loss.SEND_UNMATCHED: "transmissions of which only the beginning or only the end was seen",
}


def compiler_flags() -> list[str]:
    """Say the sizes that this module counts on, for the compiler to check."""
    return [
        f"-DSIZEOF_FIGURE_KEY={FIGURE_KEY.size}",
        f"-DSIZEOF_FIGURE={FIGURE.size}",
        f"-DSIZEOF_PLACE={PLACE.size}",
        f"-DSIZEOF_SLOTS={SLOTS.size}",
        f"-DSIZEOF_SESSION={SESSION.size}",
        f"-DSIZEOF_SETTINGS={SETTINGS.size}",
        f"-DSIZEOF_STEADY={STEADY.size}",
        f"-DVERDICT_COUNT={len(Verdict)}",
        f"-DLATENCY_SLOTS={LATENCY_SLOTS}",
        f"-DLOSS_COUNT={len(Loss)}",
    ]
