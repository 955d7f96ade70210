"""What can become of a packet in the driver: every verdict, and which counter records it.

The one table of verdicts, for figures, journeys and pictures. bpf/verdicts.h has the same names
and numbers for the programs; a test and a _Static_assert hold the two together.
Sources: net/l2tp/l2tp_core.c (l2tp_udp_encap_recv, l2tp_recv_common, l2tp_recv_data_seq,
l2tp_recv_dequeue, l2tp_xmit_skb), net/l2tp/l2tp_ppp.c (pppol2tp_recv, pppol2tp_xmit),
drivers/net/ppp/ppp_generic.c (ppp_input, ppp_read).

Named tuples, since importing dataclasses would cost a tenth of the tracer's start.
"""

import enum
from typing import NamedTuple


class Verdict(enum.IntEnum):
    """What became of one packet (enum verdict in bpf/verdicts.h)."""

    DELIVERED = 0
    READ = 1
    BRIDGED = 2
    PSEUDOWIRE = 3
    CONTROL = 4
    UNKNOWN_SESSION = 5
    WRONG_VERSION = 6
    TOO_SHORT = 7
    OUT_OF_SEQUENCE = 8
    EXPIRED = 9
    OUTSIDE_WINDOW = 10
    SEQUENCE_REQUIRED = 11
    BAD_OFFSET = 12
    WRONG_COOKIE = 13
    REORDER_PURGED = 14
    SOCKET_FULL = 15
    NO_SOCKET = 16
    CHANNEL_GONE = 17
    QUEUE_FULL = 18
    PPP_REFUSED = 19
    CLOSED_UNREAD = 20
    UNKNOWN_CAUSE = 21
    LOST_FROM_SIGHT = 22
    WAITING_REORDER = 23
    WAITING_PPP = 24
    WAITING_SOCKET = 25
    SENT = 26
    NOT_CONNECTED = 27
    SOCKET_BUSY = 28
    TOO_LONG = 29
    SEND_FAILED = 30
    SEND_ABORTED = 31

    @property
    def label(self) -> str:
        """The name in JSON, on screen and in filters: lower case."""
        return self.name.lower()

    @property
    def meaning(self) -> "Meaning":
        """What it means, and what records it."""
        return MEANINGS[self]


class Outcome(enum.Enum):
    """What kind of end a verdict is."""

    ACCEPTED = "accepted"
    PASSED_UP = "passed up"
    DROPPED = "dropped"
    WAITING = "waiting"
    UNKNOWN = "unknown"


class Meaning(NamedTuple):
    """One row of the table.

    says: the verdict in words, for people. direction: "rx" or "tx".
    counters: what the driver adds to for each such packet, by the names of struct l2tp_stats; of
    the session, or of the tunnel where the name begins with "tunnel_".
    sometimes: counters that only some kernels add to.
    """

    outcome: Outcome
    direction: str
    says: str
    counters: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()

    @property
    def is_recorded(self) -> bool | None:
        """Say whether an L2TP counter tells of the loss; None: on some kernels, or no loss."""
        if self.outcome not in (Outcome.DROPPED, Outcome.PASSED_UP):
            return None
        if any("packets" not in name for name in self.counters):
            return True
        return None if self.sometimes else False


_DISCARDED = ("rx_seq_discards", "rx_errors")
_RECEIVED = ("rx_packets",)

MEANINGS = {
    Verdict.DELIVERED: Meaning(
        Outcome.ACCEPTED, "rx", "delivered to its ppp interface", _RECEIVED
    ),
    Verdict.READ: Meaning(
        Outcome.ACCEPTED, "rx", "taken by pppd (or who reads the channel or the socket)", _RECEIVED
    ),
    Verdict.BRIDGED: Meaning(
        Outcome.ACCEPTED, "rx", "sent on by a bridged PPP channel", _RECEIVED
    ),
    Verdict.PSEUDOWIRE: Meaning(
        Outcome.ACCEPTED, "rx", "handed to a pseudowire other than PPP", _RECEIVED
    ),
    Verdict.CONTROL: Meaning(Outcome.PASSED_UP, "rx", "control message, passed up"),
    Verdict.UNKNOWN_SESSION: Meaning(
        Outcome.PASSED_UP, "rx", "data of an unknown session, passed up"
    ),
    Verdict.WRONG_VERSION: Meaning(
        Outcome.PASSED_UP, "rx", "data of another L2TP version, passed up",
        sometimes=("tunnel_rx_invalid",),
    ),
    Verdict.TOO_SHORT: Meaning(
        Outcome.PASSED_UP, "rx", "data too short for the driver, passed up",
        sometimes=("tunnel_rx_invalid",),
    ),
    Verdict.OUT_OF_SEQUENCE: Meaning(
        Outcome.DROPPED, "rx", "dropped: out of sequence, and reordering is off", _DISCARDED
    ),
    Verdict.EXPIRED: Meaning(
        Outcome.DROPPED, "rx", "dropped: waited too long for an earlier packet", _DISCARDED
    ),
    Verdict.OUTSIDE_WINDOW: Meaning(
        Outcome.DROPPED, "rx", "dropped: its number is outside the window, or has passed",
        ("rx_errors",),
    ),
    Verdict.SEQUENCE_REQUIRED: Meaning(
        Outcome.DROPPED, "rx", "dropped: it has no number, and the session requires one", _DISCARDED
    ),
    Verdict.BAD_OFFSET: Meaning(
        Outcome.DROPPED, "rx", "dropped: its header reaches beyond its end", ("rx_errors",)
    ),
    Verdict.WRONG_COOKIE: Meaning(
        Outcome.DROPPED, "rx", "dropped: wrong cookie (L2TPv3)",
        ("rx_cookie_discards", "rx_errors"),
    ),
    Verdict.REORDER_PURGED: Meaning(
        Outcome.DROPPED, "rx", "dropped: in the reorder queue when the session was closed",
        ("rx_errors",),
    ),
    Verdict.SOCKET_FULL: Meaning(
        Outcome.DROPPED, "rx", "dropped: nobody reads the session's socket, and it is full",
        ("rx_packets", "rx_errors"),
    ),
    Verdict.NO_SOCKET: Meaning(
        Outcome.DROPPED, "rx", "dropped: the session has no PPPoX socket", _RECEIVED
    ),
    Verdict.CHANNEL_GONE: Meaning(
        Outcome.DROPPED, "rx", "dropped: the session's PPP channel is gone", _RECEIVED
    ),
    Verdict.QUEUE_FULL: Meaning(
        Outcome.DROPPED, "rx", "dropped: PPP's queue for pppd was full, and it the oldest",
        _RECEIVED,
    ),
    Verdict.PPP_REFUSED: Meaning(
        Outcome.DROPPED, "rx", "dropped: PPP did not want it (interface down, damaged, filtered)",
        _RECEIVED,
    ),
    Verdict.CLOSED_UNREAD: Meaning(
        Outcome.DROPPED, "rx", "dropped: nobody had read it when channel or socket were closed",
        _RECEIVED,
    ),
    Verdict.UNKNOWN_CAUSE: Meaning(
        Outcome.DROPPED, "rx", "dropped: the probes know no cause", sometimes=("rx_errors",)
    ),
    Verdict.LOST_FROM_SIGHT: Meaning(
        Outcome.UNKNOWN, "rx", "lost from sight", sometimes=_RECEIVED
    ),
    Verdict.WAITING_REORDER: Meaning(
        Outcome.WAITING, "rx", "waiting in the reorder queue for an earlier packet"
    ),
    Verdict.WAITING_PPP: Meaning(
        Outcome.WAITING, "rx", "waiting in PPP's queue for pppd", _RECEIVED
    ),
    Verdict.WAITING_SOCKET: Meaning(
        Outcome.WAITING, "rx", "waiting on the session's socket, which has no channel yet",
        _RECEIVED,
    ),
    Verdict.SENT: Meaning(Outcome.ACCEPTED, "tx", "handed to IP", ("tx_packets",)),
    Verdict.NOT_CONNECTED: Meaning(
        Outcome.DROPPED, "tx", "dropped: the tunnel's UDP socket is not connected", ("tx_errors",)
    ),
    Verdict.SOCKET_BUSY: Meaning(
        Outcome.DROPPED, "tx", "dropped: user space held the tunnel's socket", ("tx_errors",)
    ),
    Verdict.TOO_LONG: Meaning(
        Outcome.DROPPED, "tx", "dropped: longer than a UDP datagram can be", ("tx_errors",)
    ),
    Verdict.SEND_FAILED: Meaning(
        Outcome.DROPPED, "tx", "dropped: no headroom, or IP did not take it", ("tx_errors",)
    ),
    Verdict.SEND_ABORTED: Meaning(
        Outcome.DROPPED, "tx", "dropped: the session was closed while it was sent"
    ),
}  # fmt: skip

WAITING = frozenset(v for v in Verdict if v.meaning.outcome is Outcome.WAITING)
RECEIVED = tuple(v for v in Verdict if v.meaning.direction == "rx")
TRANSMITTED = tuple(v for v in Verdict if v.meaning.direction == "tx")

BY_LABEL = {verdict.label: verdict for verdict in Verdict}
