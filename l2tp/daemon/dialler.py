"""Which configured tunnels are open, and how another is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from l2tp.config.settings import TunnelConfig
from l2tp.daemon.contested_ports import holders
from l2tp.daemon.control_server import RequestError
from l2tp.kernel.udp import open_udp_socket

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon


class Dialler:
    """Opens the tunnels that a daemon's configuration names, each at most once at a time."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._opened: dict[int, TunnelConfig] = {}

    def open(self, tunnel: TunnelConfig) -> int:
        """Return the id of an open tunnel of that name, or of one that is opened now.

        A new tunnel's socket is connected only once the peer answered: the answerer may choose
        another port (RFC 2661 §8.1), which a connected socket would never hear from. Raises
        L2tpError where the kernel or the limits do not allow it.
        """
        if (there := self.find(tunnel.name)) is not None:
            return there
        self._check_ports(tunnel)
        udp = open_udp_socket(tunnel.local)
        try:
            local_tunnel_id = self._daemon.endpoint.open_tunnel(
                tunnel.peer, self._daemon.now(), secret=tunnel.secret
            )
        except BaseException:
            udp.close()
            raise
        self._daemon.sockets.adopt(local_tunnel_id, udp, None)
        self._daemon.view.opened(local_tunnel_id, tunnel.peer)
        self._opened[local_tunnel_id] = tunnel
        return local_tunnel_id

    def _check_ports(self, tunnel: TunnelConfig) -> None:
        if tunnel.local.port and holders(self._daemon, tunnel.local, tunnel.peer):
            raise RequestError(
                f"tunnel {tunnel.name}: another tunnel runs from {tunnel.local} to {tunnel.peer}, "
                "and this kernel's driver cannot tell their data apart (Linux 6.11 and later can). "
                f'Set local_port = 0 in the [[tunnel]] named "{tunnel.name}"'
            )

    def find(self, name: str) -> int | None:
        """Return the id of the tunnel of that name that is not closed, or None."""
        for local_tunnel_id, tunnel in self._opened.items():
            view = self._daemon.view.tunnels.get(local_tunnel_id)
            if tunnel.name == name and view is not None and view.state != "closed":
                return local_tunnel_id
        return None

    def name_of(self, local_tunnel_id: int) -> str | None:
        """Return the name that the configuration gives an open tunnel."""
        tunnel = self._opened.get(local_tunnel_id)
        return tunnel.name if tunnel else None

    def choose(self, wanted: object) -> TunnelConfig:
        """Return the configured tunnel of a name or an id (None: the first).

        Raises RequestError with the names there are.
        """
        tunnels = self._daemon.config.tunnels
        for tunnel in tunnels:
            if wanted in (None, tunnel.name):
                return tunnel
        for number, tunnel in self._opened.items():
            if wanted in (number, str(number)):
                return tunnel
        names = ", ".join(tunnel.name for tunnel in tunnels) or "none"
        raise RequestError(f"there is no tunnel {wanted!r}; the configuration has {names}")

    def forget(self, local_tunnel_id: int) -> None:
        """Forget a tunnel that is closed."""
        self._opened.pop(local_tunnel_id, None)
