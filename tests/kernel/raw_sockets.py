"""PPPoL2TP sockets as the driver has them, without the care that l2tp.kernel takes of them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from l2tp.kernel import libc
from l2tp.kernel.sockaddr import pack_sockaddr
from l2tp.kernel.uapi import AF_PPPOX, PX_PROTO_OL2TP
from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.parameters import Address

HERE = Address("127.0.0.1", 1701)
THERE = Address("127.0.0.1", 1702)

Ids = tuple[int, int, int, int]
"""Local and peer tunnel id, local and peer session id."""
MANAGEMENT: Ids = (10, 20, 0, 0)
SESSION: Ids = (10, 20, 1, 2)


def pppox() -> socket.socket:
    """A PPPoL2TP socket that is connected to nothing."""
    return socket.socket(AF_PPPOX, socket.SOCK_DGRAM, PX_PROTO_OL2TP)


def udp(port: int = HERE.port) -> socket.socket:
    """A UDP socket for a tunnel: bound, and connected."""
    return open_udp_socket((HERE.host, port), THERE)


def address(fd: int, ids: Ids, *, peer: Address = THERE, version: int = 2) -> bytes:
    """The bytes for connect()."""
    return pack_sockaddr(
        fd,
        peer,
        local_tunnel_id=ids[0],
        peer_tunnel_id=ids[1],
        local_session_id=ids[2],
        peer_session_id=ids[3],
        version=version,
    )


def attach(
    fd: int, ids: Ids, *, peer: Address = THERE, version: int = 2, on: socket.socket | None = None
) -> socket.socket:
    """Connect a PPPoL2TP socket (a new one, or ``on``); OSError when the driver refuses."""
    sock = on or pppox()
    try:
        libc.connect(sock.fileno(), address(fd, ids, peer=peer, version=version))
    except OSError:
        if on is None:
            sock.close()
        raise
    return sock


def errno_of(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """The name of the errno that a call fails with, or “none”."""
    try:
        call(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "none"
