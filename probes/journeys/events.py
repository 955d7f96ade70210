"""Python's side of the C structures and enums in bpf/journey.c, size-checked by the compiler."""

import enum
import ipaddress
import struct
from typing import Any, NamedTuple

# How much of a packet is kept at the hops that show it: all headers, inner ones included.
SNAP_OCTETS = 192

# struct journey_event, for ringbuf.RingBuffer
EVENT = f"5Q2I2I16s4I2I{SNAP_OCTETS}s"

# struct choice { u64 budget, seen; u32 one_in, directions, netns, tunnel_id, session_id,
#                 family, ip_protocol, ppp_protocol; u8 address[16]; }
CHOICE = struct.Struct("=2Q8I16s")


class Hop(enum.IntEnum):
    """A place where a packet is seen (enum hop)."""

    PPP_START_XMIT = 0
    PPPOL2TP_XMIT = 1
    L2TP_XMIT_SKB = 2
    IP_QUEUE_XMIT = 3
    INET6_CSK_XMIT = 4
    NET_DEV_QUEUE = 5
    NET_DEV_START_XMIT = 6
    NETIF_RECEIVE_SKB = 7
    L2TP_UDP_ENCAP_RECV = 8
    L2TP_RECV_COMMON = 9
    PPPOL2TP_RECV = 10
    PPP_INPUT = 11
    NETIF_RX = 12
    PASSED_UP = 13
    CLONED = 14
    RECEIVED = 15
    DROPPED = 16
    CONSUMED = 17


ENDS = frozenset({Hop.RECEIVED, Hop.DROPPED, Hop.CONSUMED})


class Cause(enum.IntEnum):
    """What a tracepoint of the driver said before it freed a packet (enum cause)."""

    NONE = 0
    OUT_OF_SEQUENCE = 1
    EXPIRED = 2
    OUTSIDE_WINDOW = 3


class JourneyLoss(enum.IntEnum):
    """What the program knows that it did not tell (enum journey_loss)."""

    NO_ROOM_FOR_EVENT = 0
    NO_ROOM_TO_FOLLOW = 1
    INNER_UNREAD = 2


JOURNEY_LOSS_MEANINGS = {
    JourneyLoss.NO_ROOM_FOR_EVENT: "events for which the ring buffer had no room",
    JourneyLoss.NO_ROOM_TO_FOLLOW: "chosen packets that could not be followed",
    JourneyLoss.INNER_UNREAD: "received packets that could not be held against the choice, "
    "for they lay outside the linear buffer",
}


class Event(NamedTuple):
    """One packet seen at one hop (struct journey_event).

    time_ns: CLOCK_MONOTONIC. skb, generation: whose journey it belongs to.
    detail: of DROPPED the reason and the code's address, of CLONED the skb and
    the generation of the original. Ids are 0 where the hop does not know them.
    length: of the packet in octets, from where the hop sees it on.
    packet: its first octets; empty at the hops that do not show it.
    """

    time_ns: int
    skb: int
    generation: int
    detail: tuple[int, int]
    hop: Hop
    length: int
    netns: int
    ifindex: int
    interface: str
    tunnel_id: int
    session_id: int
    peer_tunnel_id: int
    peer_session_id: int
    cause: Cause
    packet: bytes


def event_of(record: tuple[Any, ...]) -> Event:
    """Give names and types to a record of EVENT."""
    time_ns, skb, generation, reason, location, hop, length, netns, ifindex, interface = record[:10]
    tunnel, session, peer_tunnel, peer_session, cause, octets, packet = record[10:]
    name = interface.partition(b"\0")[0].decode(errors="replace")
    return Event(
        time_ns, skb, generation, (reason, location), Hop(hop), length, netns, ifindex, name,
        tunnel, session, peer_tunnel, peer_session, Cause(cause), packet[:octets],
    )  # fmt: skip


class Choice(NamedTuple):
    """Which packets to follow; None is any.

    budget: how many journeys may begin, None for no end. one_in: of those that
    fit, one in so many. outgoing: from our own ppp interfaces (and pppd) on;
    incoming: from the driver's receiving hook on, for datagrams from elsewhere.
    netns: inode number of the namespace where a journey begins. tunnel_id,
    session_id: of either end. address: inner source or destination.
    ip_protocol: inner, by number; ppp_protocol: such as 0xc021, for pppd's own frames.
    """

    budget: int | None = None
    one_in: int = 1
    outgoing: bool = True
    incoming: bool = False
    netns: int | None = None
    tunnel_id: int | None = None
    session_id: int | None = None
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    ip_protocol: int | None = None
    ppp_protocol: int | None = None

    def packed(self) -> bytes:
        """Lay it out as struct choice."""
        return CHOICE.pack(
            (1 << 62) if self.budget is None else self.budget,
            0,
            self.one_in,
            int(self.outgoing) | int(self.incoming) << 1,
            self.netns or 0,
            self.tunnel_id or 0,
            self.session_id or 0,
            self.address.version if self.address else 0,
            0 if self.ip_protocol is None else 1 + self.ip_protocol,
            self.ppp_protocol or 0,
            self.address.packed if self.address else b"",
        )


def journey_compiler_flags() -> list[str]:
    """Say the sizes that this module counts on, for the compiler to check."""
    return [
        f"-DSNAP={SNAP_OCTETS}",
        f"-DSIZEOF_JOURNEY_EVENT={struct.calcsize('=' + EVENT)}",
        f"-DSIZEOF_CHOICE={CHOICE.size}",
        f"-DHOP_COUNT={len(Hop)}",
        f"-DCAUSE_COUNT={len(Cause)}",
        f"-DJOURNEY_LOSS_COUNT={len(JourneyLoss)}",
    ]
