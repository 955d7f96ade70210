"""What a daemon does when a tunnel comes, moves and goes: its socket, its place in the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2tp.daemon.contested_ports import ContestedPorts, holders
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


class TunnelEvents:
    """Keeps a daemon's UDP sockets and kernel tunnels in step with its control connections."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._contested = ContestedPorts(daemon)
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
        if holders(self._daemon, local, event.peer):
            self._contested.settle(event.local_tunnel_id, local, event.peer)
        else:
            self.open_socket(event.local_tunnel_id, local, event.peer)

    def open_socket(self, local_tunnel_id: int, local: Address, peer: Address) -> None:
        """Give a requested tunnel its socket, connected; where that fails, the tunnel ends."""
        try:
            self._daemon.sockets.open(local_tunnel_id, local, peer)
        except L2tpError as error:
            self._give_tunnel_up(local_tunnel_id, error)

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
