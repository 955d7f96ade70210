"""What a daemon does when a tunnel comes, moves and goes: its socket, its place in the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from l2tp.kernel.leftovers import KernelTunnel
from l2tp.protocol.constants import ErrorCode, StopResult
from l2tp.protocol.errors import SHUTDOWN, L2tpError, ResultCode
from l2tp.protocol.events import (
    PeerAddressChanged,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.protocol.parameters import Address

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon

_PORTS: Final = (
    "another tunnel has the same addresses and ports, and this kernel's driver cannot tell their "
    "data apart (Linux 6.11 and later can): answered from a free port, as RFC 2661 §8.1 allows. "
    "A peer that does not follow (xl2tpd) gets no data through this tunnel"
)


class TunnelEvents:
    """Keeps a daemon's UDP sockets and kernel tunnels in step with its control connections."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._released: set[int] = set()

    def requested(self, event: TunnelRequested) -> None:
        """Open the socket that the SCCRP is to leave by, on the address that was asked."""
        if self._daemon.stopping:
            self._daemon.endpoint.close_tunnel(event.local_tunnel_id, self._daemon.now(), SHUTDOWN)
            return
        arrival = self._daemon.arrival
        if arrival is None:
            return
        port = next(
            (one.answer_port for one in self._daemon.config.listen if one.address == arrival),
            arrival.port,
        )
        local = Address(arrival.host, port)
        if self._daemon.sockets.between(local, event.peer) and not (
            self._daemon.plane.shares_ports()
        ):
            local = Address(arrival.host, 0)
            self._daemon.log.write(
                "PortChanged", local_tunnel_id=event.local_tunnel_id, peer=event.peer, cause=_PORTS
            )
        try:
            self._daemon.sockets.open(event.local_tunnel_id, local, event.peer)
        except L2tpError as error:
            self._give_tunnel_up(event.local_tunnel_id, error)

    def moved(self, event: PeerAddressChanged) -> None:
        """Follow the peer to where it answers from."""
        self._connect(event.local_tunnel_id, event.peer)

    def established(self, event: TunnelEstablished) -> None:
        """Tell the driver of the tunnel, before the first session."""
        self._connect(event.local_tunnel_id, event.peer)
        tunnel = self._daemon.sockets.find(event.local_tunnel_id)
        if tunnel is None or tunnel.peer is None:
            return
        ids = event.local_tunnel_id, event.peer_tunnel_id
        # Before it is made: a kill may come at any moment.
        self._daemon.remains.add(KernelTunnel(*ids, tunnel.local, event.peer))
        try:
            self._daemon.plane.create_tunnel(tunnel.udp.fileno(), *ids, event.peer)
        except L2tpError as error:
            self._give_tunnel_up(event.local_tunnel_id, error)

    def _connect(self, local_tunnel_id: int, peer: Address) -> None:
        try:
            self._daemon.sockets.connect(local_tunnel_id, peer)
        except L2tpError as error:
            self._give_tunnel_up(local_tunnel_id, error)

    def _give_tunnel_up(self, local_tunnel_id: int, error: L2tpError) -> None:
        self._daemon.log.write("DataPlaneFailed", local_tunnel_id=local_tunnel_id, cause=str(error))
        result = ResultCode(
            StopResult.GENERAL_ERROR, ErrorCode.INSUFFICIENT_RESOURCES, "no data plane"
        )
        self._daemon.endpoint.close_tunnel(local_tunnel_id, self._daemon.now(), result)

    def closed(self, event: TunnelClosed) -> None:
        """Take the tunnel out of the kernel, as soon as its sessions allow."""
        self.retire(event.local_tunnel_id)

    def released(self, event: TunnelReleased) -> None:
        """Close the socket that the last words went through."""
        self._released.add(event.local_tunnel_id)
        self.retire(event.local_tunnel_id)

    def retire(self, local_tunnel_id: int) -> None:
        """Take a closed tunnel out of the kernel once its last session is gone."""
        tunnel = self._daemon.view.tunnels.get(local_tunnel_id)
        if self._daemon.sessions.of_tunnel(local_tunnel_id) or (
            tunnel and tunnel.state != "closed"
        ):
            return
        if self._daemon.plane.has_tunnel(local_tunnel_id):
            self._daemon.plane.close_tunnel(local_tunnel_id)
            self._daemon.sockets.renew(local_tunnel_id)
            self._daemon.remains.remove(local_tunnel_id)
            self._daemon.log.write("TunnelLeftKernel", local_tunnel_id=local_tunnel_id)
        self._daemon.role.forget_tunnel(local_tunnel_id)
        if local_tunnel_id in self._released:
            self._released.discard(local_tunnel_id)
            self._daemon.sockets.close(local_tunnel_id)
