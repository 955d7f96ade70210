"""The driver's debug messages of today: which event says what, in the seed's three categories.

Until Linux 5.9 the driver printed messages by a mask for each tunnel and session. Since 5.10 the
mask is taken and forgotten, and tracepoints tell what the messages told.
"""

import enum
import struct
from typing import NamedTuple

from probes.hooks.spec import MODULE, Hook, Program


class Category(enum.IntFlag):
    """The seed's message categories, with its values (linux/l2tp.h: PPPOL2TP_MSG_*)."""

    CONTROL = 2
    SEQ = 4
    DATA = 8


class Event(NamedTuple):
    """One thing that the driver does, and how it is said.

    name: the tracepoint, or the function that is watched where there is none.
    words: may name {number}, the Ns of a frame, {nr} and {ns}, those of the session, and {octets}.
    """

    name: str
    category: Category
    words: str


# In the order of bpf/debug.c: enum debug_event.
EVENTS = (
    Event("register_tunnel", Category.CONTROL, "tunnel registered"),
    Event("delete_tunnel", Category.CONTROL, "tunnel marked for deletion"),
    Event("free_tunnel", Category.CONTROL, "tunnel freed"),
    Event("register_session", Category.CONTROL, "session registered"),
    Event("delete_session", Category.CONTROL, "session marked for deletion"),
    Event("free_session", Category.CONTROL, "session freed"),
    Event("session_seqnum_lns_enable", Category.SEQ, "the LNS numbers: we do so too"),
    Event("session_seqnum_lns_disable", Category.SEQ, "the LNS numbers no more: nor do we"),
    Event("session_seqnum_update", Category.SEQ, "now Nr {nr}, Ns {ns}"),
    Event("session_seqnum_reset", Category.SEQ, "takes Nr {nr} from the frame at hand"),
    Event("session_pkt_expired", Category.SEQ, "drops frame {number}: it waited too long"),
    Event("session_pkt_oos", Category.SEQ, "drops frame {number}: out of sequence, Nr is {nr}"),
    Event(
        "session_pkt_outside_rx_window",
        Category.SEQ,
        "drops frame {number}: outside the window, Nr is {nr}",
    ),
    Event("l2tp_recv_common", Category.DATA, "receives a data message of {octets} octets"),
    Event("l2tp_xmit_skb", Category.DATA, "sends a PPP frame of {octets} octets"),
)

# struct filter_key { u32 netns, tunnel_id, session_id; }
FILTER_KEY = struct.Struct("=3I")
# struct filter { u64 second_ns; u32 categories, said, left_out, lost; }
FILTER = struct.Struct("=Q4I")
# struct message { u64 time_ns; u32 netns, tunnel_id, session_id, event, number, octets, nr, ns; }
MESSAGE = "Q8I"

MESSAGES_A_SECOND = 200
"""Of one tunnel or session that was asked for; more are counted, and not said."""
MAX_FILTERS = 1024
RING_OCTETS = 1 << 18


def debug_flags() -> list[str]:
    """Say the sizes that this module counts on, for the compiler to check."""
    return [
        f"-DDEBUG_EVENT_COUNT={len(EVENTS)}",
        f"-DSIZEOF_FILTER_KEY={FILTER_KEY.size}",
        f"-DSIZEOF_FILTER={FILTER.size}",
        f"-DSIZEOF_MESSAGE={struct.calcsize(f'={MESSAGE}')}",
        f"-DMESSAGES_A_SECOND={MESSAGES_A_SECOND}",
    ]


def _hook(event: Event) -> Hook:
    hides = f"“{event.words}” ({event.category.name})"
    if event.category is not Category.DATA:
        return Hook(event.name, event.name, MODULE, False, "", False, hides, tracepoint=True)
    program = "debug_received" if event.name == "l2tp_recv_common" else "debug_sending"
    return Hook(event.name, event.name, MODULE, False, program, False, hides)


DEBUG = Program(
    name="debug",
    sources=("common.h", "debug.c"),
    hooks=tuple(_hook(event) for event in EVENTS),
    offsets=(("sk_buff", "len"), ("net", "ns"), ("ns_common", "inum")),
    module_offsets=(
        (
            MODULE,
            (
                ("l2tp_tunnel", "tunnel_id"),
                ("l2tp_tunnel", "l2tp_net"),
                ("l2tp_session", "tunnel"),
                ("l2tp_session", "session_id"),
                ("l2tp_session", "nr"),
                ("l2tp_session", "ns"),
            ),
        ),
    ),
)
