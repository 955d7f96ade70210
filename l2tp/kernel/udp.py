"""The UDP sockets of the control connection: one listener, and one socket per tunnel.

The driver sends data frames only through a connected UDP socket, so each tunnel has its own. On
the answering side it shares address and port with the listener (SO_REUSEADDR); the kernel's UDP
lookup prefers the connected socket for datagrams of its peer (``net/ipv4/udp.c: compute_score``).
Between bind and connect the new socket may catch a stranger's datagram: whoever reads it must
look at the source address.
"""

import socket
from collections.abc import Callable

from l2tp.kernel.errors import refusal


def open_udp_socket(local: tuple[str, int], peer: tuple[str, int] | None = None) -> socket.socket:
    """Open a non-blocking UDP socket bound to ``local`` and, with ``peer``, connected to it.

    Addresses are numeric, IPv4 or IPv6; port 0 takes a free one. Raises KernelError.
    """
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
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


def _step(
    operation: str, call: Callable[[tuple[str, int]], None], address: tuple[str, int]
) -> None:
    try:
        call(address)
    except OSError as error:
        raise refusal(operation, error, f"{address[0]}:{address[1]}") from error
