"""The UDP sockets of the control connection: one listener, and one socket per tunnel.

The driver sends data frames only through a connected UDP socket, so each tunnel has its own. On
the answering side it shares address and port with the listener (SO_REUSEADDR); the kernel's UDP
lookup prefers the connected socket for datagrams of its peer (``net/ipv4/udp.c: compute_score``).
Between bind and connect the new socket may catch a stranger's datagram: whoever reads it must
look at the source address.
"""

import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from l2tp.kernel.errors import refusal

# linux/in.h and linux/in6.h; the socket module has no names for them.
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_IP_MTU: Final = 14
_IPV6_MTU: Final = 24
# struct sock_extended_err (linux/errqueue.h): errno, origin, type, code, pad, info, data.
_EXTENDED_ERROR: Final = struct.Struct("=I B B B x I I")
_ICMP_ORIGINS: Final = (2, 3)
# asm-generic/socket.h, since Linux 5.1; the kernel does not ask whether there is such an interface.
_SO_BINDTOIFINDEX: Final = 62
_NO_INTERFACE: Final = 0x7FFFFFFF


def open_udp_socket(local: tuple[str, int], peer: tuple[str, int] | None = None) -> socket.socket:
    """Open a non-blocking UDP socket bound to ``local`` and, with ``peer``, connected to it.

    Addresses are numeric, IPv4 or IPv6; port 0 takes a free one. Raises KernelError.
    """
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # ICMP's errors are queued with their origin, even before the socket is connected.
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        _step("bind", udp.bind, local)
        if peer is not None:
            _step("connect", udp.connect, peer)
    except BaseException:
        udp.close()
        raise
    return udp


def connect_udp_socket(udp: socket.socket, peer: tuple[str, int]) -> None:
    """Connect ``udp`` to its peer, or to another address that the peer answered from."""
    _step("connect", udp.connect, peer)


def seclude_udp_socket(udp: socket.socket) -> None:
    """Let nothing more come to ``udp``; what has come can still be read.

    It is bound to an interface that does not exist, so that the kernel's lookup finds whoever
    else has its address (``net/core/sock.c: sock_bindtoindex``). Where that is refused, it goes
    on receiving.
    """
    with suppress(OSError):
        udp.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)


def path_mtu(udp: socket.socket) -> int | None:
    """Ask what the kernel knows of the path's MTU, in octets; None for an unconnected socket."""
    if udp.family == socket.AF_INET6:
        option = socket.IPPROTO_IPV6, _IPV6_MTU
    else:
        option = socket.IPPROTO_IP, _IP_MTU
    try:
        return udp.getsockopt(*option)
    except OSError:
        return None


class NetworkReport(NamedTuple):
    """What became of a datagram: where it was sent, the errno, and who says so, in words."""

    destination: tuple[str, int]
    errno: int
    text: str


def read_network_errors(udp: socket.socket) -> list[NetworkReport]:
    """Take what the network reported about datagrams sent through ``udp``.

    That is ICMP's answers and who gave them (``net/ipv4/ip_sockglue.c: ip_icmp_error``).
    """
    errors: list[NetworkReport] = []
    while True:
        try:
            _, ancillary, _, destination = udp.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        except OSError:
            return errors
        for _level, kind, data in ancillary:
            if kind in (_IP_RECVERR, _IPV6_RECVERR) and len(data) >= _EXTENDED_ERROR.size:
                code, origin, _type, _code, _info, _data = _EXTENDED_ERROR.unpack_from(data)
                text = os.strerror(code)
                if origin in _ICMP_ORIGINS and (offender := _offender(data)):
                    text += f", reported by {offender}"
                errors.append(NetworkReport(destination[:2], code, text))


def _offender(data: bytes) -> str | None:
    """Read the address behind struct sock_extended_err: who sent the ICMP message."""
    address = data[_EXTENDED_ERROR.size :]
    family = int.from_bytes(address[:2], sys.byteorder)
    if family == socket.AF_INET:
        return socket.inet_ntop(family, address[4:8])
    if family == socket.AF_INET6:
        return socket.inet_ntop(family, address[8:24])
    return None


def _step(
    operation: str, call: Callable[[tuple[str, int]], None], address: tuple[str, int]
) -> None:
    try:
        call(address)
    except OSError as error:
        raise refusal(operation, error, f"{address[0]}:{address[1]}") from error
