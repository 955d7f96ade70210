"""A daemon's UDP sockets on its event loop: the listener, and one for each tunnel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from l2tp.kernel.udp import (
    NetworkReport,
    connect_udp_socket,
    open_udp_socket,
    read_network_errors,
)
from l2tp.parameters import Address, Datagram

Receive = Callable[[bytes, Address, int | None], None]
NoteError = Callable[[int | None, NetworkReport], None]

_LARGEST_DATAGRAM: Final = 65535
# So that one busy socket does not keep the others and the timer waiting.
_DATAGRAMS_A_TURN: Final = 64
_SEND_ATTEMPTS: Final = 2


class TunnelSocket:
    """One tunnel's UDP socket, and the peer it is connected to, if it is."""

    def __init__(self, udp: socket.socket, peer: Address | None) -> None:
        self.udp = udp
        self.peer = peer

    @property
    def local(self) -> Address:
        """Return the address and port that the socket is bound to."""
        return Address(*self.udp.getsockname()[:2])


class UdpSockets:
    """Reads every socket and sends what the endpoint wants sent.

    ``receive`` gets each datagram with its source and, when the source is the peer of the
    tunnel that the socket belongs to, the tunnel's id. ``note_error`` gets what the network
    reported, with the tunnel's id (None for the listener). ``done`` is called after each turn.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        receive: Receive,
        note_error: NoteError,
        done: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._note_error = note_error
        self._done = done
        self._listener: TunnelSocket | None = None
        self._tunnels: dict[int, TunnelSocket] = {}

    def listen(self, udp: socket.socket) -> None:
        """Take over the listener, an open socket."""
        self._listener = TunnelSocket(udp, None)
        self._watch(self._listener, None)

    def open(self, local_tunnel_id: int, local: Address, peer: Address | None) -> None:
        """Open a tunnel's socket, connected if ``peer`` is given; raises KernelError."""
        self.adopt(local_tunnel_id, open_udp_socket(local, peer), peer)

    def adopt(self, local_tunnel_id: int, udp: socket.socket, peer: Address | None) -> None:
        """Take over an open socket as a tunnel's, instead of the one it had."""
        self.close(local_tunnel_id)
        self._tunnels[local_tunnel_id] = TunnelSocket(udp, peer)
        self._watch(self._tunnels[local_tunnel_id], local_tunnel_id)

    def connect(self, local_tunnel_id: int, peer: Address) -> None:
        """Connect a tunnel's socket to where its peer answers from; raises KernelError."""
        tunnel = self._tunnels[local_tunnel_id]
        if tunnel.peer != peer:
            connect_udp_socket(tunnel.udp, peer)
            tunnel.peer = peer

    def find(self, local_tunnel_id: int) -> TunnelSocket | None:
        """Return a tunnel's socket, or None."""
        return self._tunnels.get(local_tunnel_id)

    def renew(self, local_tunnel_id: int) -> None:
        """Exchange a tunnel's socket for one that the driver does not know.

        Closing the old one is what removes the tunnel from the kernel
        (``net/l2tp/l2tp_core.c: l2tp_udp_encap_destroy``), while the control connection still
        has a StopCCN to send or to acknowledge (RFC 2661 §5.7). On the answering side the
        listener serves for that.
        """
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is None or tunnel.peer is None:
            return
        if self._listener is not None:
            self.close(local_tunnel_id)
        else:
            self.adopt(local_tunnel_id, open_udp_socket(tunnel.local, tunnel.peer), tunnel.peer)

    def close(self, local_tunnel_id: int) -> None:
        """Close a tunnel's socket, if it has one."""
        tunnel = self._tunnels.pop(local_tunnel_id, None)
        if tunnel is not None:
            self._loop.remove_reader(tunnel.udp)
            tunnel.udp.close()

    def close_all(self) -> None:
        """Close every socket."""
        for local_tunnel_id in tuple(self._tunnels):
            self.close(local_tunnel_id)
        if self._listener is not None:
            self._loop.remove_reader(self._listener.udp)
            self._listener.udp.close()
            self._listener = None

    def send(self, datagram: Datagram) -> None:
        """Send one datagram; a refusal is noted, for the channel sends it again."""
        tunnel = self._tunnels.get(datagram.local_tunnel_id) or self._listener
        if tunnel is None:
            return
        for _ in range(_SEND_ATTEMPTS):
            try:
                tunnel.udp.sendto(datagram.data, datagram.destination)
            except BlockingIOError:
                return
            except OSError as error:
                # The kernel may report here what became of an earlier datagram.
                report = NetworkReport(datagram.destination, error.errno or 0, str(error.strerror))
                self._note_error(datagram.local_tunnel_id, report)
            else:
                return

    def _watch(self, tunnel: TunnelSocket, local_tunnel_id: int | None) -> None:
        self._loop.add_reader(tunnel.udp, self._on_readable, tunnel, local_tunnel_id)

    def _on_readable(self, tunnel: TunnelSocket, local_tunnel_id: int | None) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                data, source, *_ = tunnel.udp.recvfrom(_LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                # What recvfrom raises is the newest error only; the queue has them all.
                for report in read_network_errors(tunnel.udp):
                    self._note_error(local_tunnel_id, report)
                continue
            address = Address(source[0], source[1])
            # A socket not yet connected shares its port with others: the ids must tell.
            self._receive(data, address, local_tunnel_id if tunnel.peer == address else None)
        self._done()
