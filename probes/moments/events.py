"""Python's side of the C structures and enums in bpf/moments.h, size-checked by the compiler."""

import enum
import ipaddress
import struct
from typing import Any, TypedDict

# How much of a control message is kept; what is longer comes cut.
MESSAGE_OCTETS = 512

# struct moment_event, for ringbuf.RingBuffer
RECORD = f"Q9IB16s2sx{MESSAGE_OCTETS}s"


class Moment(enum.IntEnum):
    """What happened (enum moment)."""

    TUNNEL_REGISTERED = 0
    TUNNEL_DELETED = 1
    TUNNEL_FREED = 2
    SESSION_REGISTERED = 3
    SESSION_DELETED = 4
    SESSION_FREED = 5
    CONTROL_RECEIVED = 6
    FIRST_PACKET_RECEIVED = 7
    FIRST_PACKET_SENT = 8
    DROPPED_OUT_OF_SEQUENCE = 9
    DROPPED_EXPIRED = 10
    DROPPED_OUTSIDE_WINDOW = 11


class MomentRow(TypedDict):
    """One moment, as the tracer tells it.

    time_ns: CLOCK_MONOTONIC. netns: inode number of the namespace. Ids are 0
    where the kernel does not tell. ns: of a drop, the packet's number.
    source, port, message, length: of a control message; message is the
    beginning of it, hexadecimal, from the L2TP header on.
    """

    event: str
    time_ns: int
    netns: int
    tunnel_id: int
    session_id: int
    peer_tunnel_id: int
    peer_session_id: int
    ns: int
    length: int
    message: str
    source: str
    port: int


def row_of(record: tuple[Any, ...]) -> MomentRow:
    """Give names to a record of RECORD."""
    time_ns, what, netns, tunnel, session, peer_tunnel, peer_session = record[:7]
    ns, length, octets, ipv6, source, port, message = record[7:]
    address = ipaddress.ip_address(source if ipv6 else source[:4])
    return MomentRow(
        event=Moment(what).name.lower(),
        time_ns=time_ns,
        netns=netns,
        tunnel_id=tunnel,
        session_id=session,
        peer_tunnel_id=peer_tunnel,
        peer_session_id=peer_session,
        ns=ns,
        length=length,
        message=message[:octets].hex(),
        source=str(address) if octets else "",
        port=int.from_bytes(port, "big"),
    )


def moment_compiler_flags() -> list[str]:
    """Say the sizes that this module counts on, for the compiler to check."""
    return [
        f"-DMESSAGE_OCTETS={MESSAGE_OCTETS}",
        f"-DSIZEOF_MOMENT_EVENT={struct.calcsize('=' + RECORD)}",
        f"-DMOMENT_COUNT={len(Moment)}",
    ]
