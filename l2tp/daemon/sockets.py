"""A daemon's UDP sockets on its event loop: the listeners, and one for each tunnel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from l2tp.kernel.udp import (
    NetworkReport,
    connect_udp_socket,
    open_udp_socket,
    read_network_errors,
    seclude_udp_socket,
)
from l2tp.protocol.errors import KernelError
from l2tp.protocol.parameters import Address, Datagram

Receive = Callable[[bytes, Address, int | None, Address], None]
NoteError = Callable[[int | None, NetworkReport], None]

_LARGEST_DATAGRAM: Final = 65535
# So that one busy socket does not keep the others and the timer waiting.
_DATAGRAMS_A_TURN: Final = 64
# More than a socket's buffer holds of the smallest (net.core.rmem_default).
_DATAGRAMS_LEFT: Final = 4096
_SEND_ATTEMPTS: Final = 2


class TunnelSocket:
    """One UDP socket, and the peer it is connected to, if it is.

    One that is ``spare`` serves a closed tunnel's last words, and the driver does not know it.
    """

    def __init__(self, udp: socket.socket, peer: Address | None, *, spare: bool = False) -> None:
        self.udp = udp
        self.peer = peer
        self.spare = spare

    @property
    def local(self) -> Address:
        """Return the address and port that the socket is bound to."""
        return Address(*self.udp.getsockname()[:2])


class UdpSockets:
    """Reads every socket and sends what the endpoint wants sent.

    ``receive`` gets each datagram with its source, the tunnel's id when the source is the peer of
    the tunnel that the socket belongs to, and the address it came to. ``note_error`` gets what the
    network reported, with the tunnel's id (None for a listener). ``done`` is called after each
    turn.
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
        self._listeners: dict[Address, TunnelSocket] = {}
        self._tunnels: dict[int, TunnelSocket] = {}
        # Tunnels without a socket of their own, and the one that speaks for them.
        self._speakers: dict[int, TunnelSocket] = {}
        # What a tunnel that may not speak yet was last to say.
        self._held: dict[int, Datagram | None] = {}

    def listen(self, udp: socket.socket) -> None:
        """Take over a listener, an open socket."""
        listener = TunnelSocket(udp, None)
        self._listeners[listener.local] = listener
        self._watch(listener, None)

    @property
    def listening(self) -> tuple[Address, ...]:
        """Where the listeners listen."""
        return tuple(self._listeners)

    def open(self, local_tunnel_id: int, local: Address, peer: Address | None) -> None:
        """Open a tunnel's socket, connected if ``peer`` is given; raises KernelError."""
        self.adopt(local_tunnel_id, open_udp_socket(local, peer), peer)

    def adopt(
        self, local_tunnel_id: int, udp: socket.socket, peer: Address | None, *, spare: bool = False
    ) -> None:
        """Take over an open socket as a tunnel's, instead of the one it had."""
        self.close(local_tunnel_id)
        tunnel = TunnelSocket(udp, peer, spare=spare)
        self._tunnels[local_tunnel_id] = tunnel
        self._watch(tunnel, local_tunnel_id)
        if peer is not None and not spare:
            self._replace_spares(tunnel)

    def connect(self, local_tunnel_id: int, peer: Address) -> None:
        """Connect a tunnel's socket to where its peer answers from; raises KernelError."""
        tunnel = self._tunnels[local_tunnel_id]
        if tunnel.peer != peer:
            connect_udp_socket(tunnel.udp, peer)
            tunnel.peer = peer
            self._replace_spares(tunnel)

    def find(self, local_tunnel_id: int) -> TunnelSocket | None:
        """Return a tunnel's socket, or None."""
        return self._tunnels.get(local_tunnel_id)

    def renew(self, local_tunnel_id: int) -> None:
        """Exchange a tunnel's socket for one that the driver does not know.

        Closing the old one is what removes the tunnel from the kernel
        (``net/l2tp/l2tp_core.c: l2tp_udp_encap_destroy``), while the control connection still
        has a StopCCN to send or to acknowledge (RFC 2661 §5.7). A socket that has the same address
        anyway serves for that: a listener, or another tunnel's with the same peer.
        """
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is None or tunnel.peer is None:
            return
        local, peer = tunnel.local, tunnel.peer
        same = [number for number in self.between(local, peer) if number != local_tunnel_id]
        speaker = self._listeners.get(local) or (self._tunnels[same[0]] if same else None)
        spoken_for = [number for number, one in self._speakers.items() if one is tunnel]
        spare = None
        if speaker is None:
            # Before the old one goes: between the two the peer's datagrams would be refused.
            with suppress(OSError, KernelError):
                spare = open_udp_socket(local, peer)
        # The peer's own last words, if it closed at the same time. Those that come between the last
        # look and the end would be lost, and the peer would say them again a second later.
        if speaker is not None or spare is not None:
            seclude_udp_socket(tunnel.udp)
        unread = tuple(self._arrivals(tunnel, local_tunnel_id, most=_DATAGRAMS_LEFT))
        self.close(local_tunnel_id)
        if speaker is None:
            spare = spare or open_udp_socket(local, peer)  # with the old one's place
            self.adopt(local_tunnel_id, spare, peer, spare=True)
            speaker = self._tunnels[local_tunnel_id]
            self._speakers.update(dict.fromkeys(spoken_for, speaker))
        else:
            self._speakers.update(dict.fromkeys((local_tunnel_id, *spoken_for), speaker))
        if unread:
            self._loop.call_soon(self._take, unread, tunnel, local_tunnel_id, local)

    def close(self, local_tunnel_id: int) -> None:
        """Close a tunnel's socket, if it has one."""
        self._speakers.pop(local_tunnel_id, None)
        tunnel = self._tunnels.pop(local_tunnel_id, None)
        if tunnel is None:
            return
        self._loop.remove_reader(tunnel.udp)
        tunnel.udp.close()
        for number, speaker in tuple(self._speakers.items()):
            if speaker is tunnel:
                del self._speakers[number]

    def close_all(self) -> None:
        """Close every socket."""
        for local_tunnel_id in tuple(self._tunnels):
            self.close(local_tunnel_id)
        self._speakers.clear()
        for listener in self._listeners.values():
            self._loop.remove_reader(listener.udp)
            listener.udp.close()
        self._listeners.clear()

    def answer_from(self, local_tunnel_id: int, arrival: Address) -> None:
        """Let the listener at ``arrival`` speak for a tunnel that has no socket (yet)."""
        if local_tunnel_id not in self._tunnels and arrival in self._listeners:
            self._speakers.setdefault(local_tunnel_id, self._listeners[arrival])

    def send(self, datagram: Datagram) -> None:
        """Send one datagram; a refusal is noted, for the channel sends it again."""
        number = datagram.local_tunnel_id
        if number in self._held:
            self._held[number] = datagram
            return
        tunnel = self._tunnels.get(number) or self._speakers.get(number)
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
                self._note_error(number, report)
            else:
                return

    def hold(self, local_tunnel_id: int) -> None:
        """Send nothing of a tunnel until ``release``."""
        self._held[local_tunnel_id] = None

    def release(self, local_tunnel_id: int) -> None:
        """Let a tunnel speak again, with the last of what was held back."""
        datagram = self._held.pop(local_tunnel_id, None)
        if datagram is not None:
            self.send(datagram)

    def between(self, local: Address, peer: Address) -> list[int]:
        """Find the open tunnels whose sockets are connected from ``local`` to ``peer``."""
        return [
            number
            for number, one in self._tunnels.items()
            if not one.spare and (one.local, one.peer) == (local, peer)
        ]

    def _replace_spares(self, tunnel: TunnelSocket) -> None:
        """Close the spare sockets between the same addresses: they would catch this one's data."""
        for number, other in tuple(self._tunnels.items()):
            if other.spare and (other.local, other.peer) == (tunnel.local, tunnel.peer):
                self.close(number)
                self._speakers[number] = tunnel

    def _watch(self, tunnel: TunnelSocket, local_tunnel_id: int | None) -> None:
        self._loop.add_reader(tunnel.udp, self._on_readable, tunnel, local_tunnel_id)

    def _on_readable(self, tunnel: TunnelSocket, local_tunnel_id: int | None) -> None:
        self._take(self._arrivals(tunnel, local_tunnel_id), tunnel, local_tunnel_id, tunnel.local)

    def _take(
        self,
        arrivals: Iterable[tuple[bytes, Address]],
        tunnel: TunnelSocket,
        local_tunnel_id: int | None,
        local: Address,
    ) -> None:
        for data, source in arrivals:
            # A socket not yet connected shares its port with others: the ids must tell.
            self._receive(data, source, local_tunnel_id if tunnel.peer == source else None, local)
        self._done()

    def _arrivals(
        self, tunnel: TunnelSocket, local_tunnel_id: int | None, most: int = _DATAGRAMS_A_TURN
    ) -> Iterator[tuple[bytes, Address]]:
        """Read what has come to a socket, with where it came from; by default a turn's worth."""
        for _ in range(most):
            if tunnel.udp.fileno() < 0:
                return  # closed by what its last datagram led to
            try:
                data, source, *_ = tunnel.udp.recvfrom(_LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                # What recvfrom raises is the newest error only; the queue has them all.
                for report in read_network_errors(tunnel.udp):
                    self._note_error(local_tunnel_id, report)
                continue
            yield data, Address(source[0], source[1])
