"""What a LAC decides: which tunnels it opens, whose calls it places, what they set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from l2tp.config import routes_into_itself
from l2tp.control_server import RequestError
from l2tp.errors import HANG_UP
from l2tp.events import CallAnswered, CallRequested
from l2tp.kernel.network import address_command, route_command
from l2tp.kernel.udp import open_udp_socket
from l2tp.parameters import CallParameters
from l2tp.ppp.options import PppCall
from l2tp.roles import CallRefused, Role
from l2tp.settings import CallConfig, DaemonConfig, TunnelConfig
from l2tp.toml_table import interface_problem, prefix_problem

if TYPE_CHECKING:
    from l2tp.daemon import Daemon
    from l2tp.ppp.sessions import Session


class Lac(Role):
    """Opens its configured tunnels and places their calls, then those it is asked for."""

    def __init__(self, daemon: Daemon, config: DaemonConfig) -> None:
        self._daemon = daemon
        self._config = config
        self._tunnels: dict[int, TunnelConfig] = {}
        self._calls: dict[tuple[int, int], CallConfig] = {}

    def start(self) -> None:
        """Open the tunnels and place the calls that are configured to be there from the start."""
        for tunnel in self._config.tunnels:
            if tunnel.at_start:
                local_tunnel_id = self._open(tunnel)
                for call in tunnel.calls:
                    if call.at_start:
                        self._place(local_tunnel_id, call)

    def plan_call(self, event: CallRequested | CallAnswered) -> PppCall:
        """Call as the user that the call was placed for."""
        call = self._calls.get((event.local_tunnel_id, event.local_session_id))
        if call is None:
            raise CallRefused("nobody asked for this call", HANG_UP)
        return PppCall(
            local_tunnel_id=event.local_tunnel_id,
            local_session_id=event.local_session_id,
            name=call.user,
            answers=False,
        )

    def network_commands(self, session: Session, family: str) -> list[str]:
        """Put the call's addresses and routes of this family on its interface."""
        call = self._calls.get((session.local_tunnel_id, session.local_session_id))
        interface = session.ppp.interface
        if call is None or interface is None:
            return []
        commands = [
            address_command(address, interface)
            for address in call.addresses
            if (":" in address) == (family == "ipv6")
        ]
        commands += [
            route_command(prefix, interface)
            for prefix in call.routes
            if (":" in prefix) == (family == "ipv6")
        ]
        return commands

    def user_of(self, local_tunnel_id: int, local_session_id: int) -> str | None:
        """Return the user whose call it is."""
        call = self._calls.get((local_tunnel_id, local_session_id))
        return call.user if call else None

    def forget_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Forget the call."""
        self._calls.pop((local_tunnel_id, local_session_id), None)

    def forget_tunnel(self, local_tunnel_id: int) -> None:
        """Forget which tunnel of the configuration it was."""
        self._tunnels.pop(local_tunnel_id, None)

    def place_call(self, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Place a call in a tunnel given by name or id, opening the tunnel if need be."""
        tunnel, local_tunnel_id = self._choose_tunnel(arguments.get("tunnel"))
        call = self._choose_call(tunnel, arguments)
        if local_tunnel_id is None:
            local_tunnel_id = self._open(tunnel)
        return local_tunnel_id, self._place(local_tunnel_id, call)

    def _choose_tunnel(self, wanted: object) -> tuple[TunnelConfig, int | None]:
        open_ids = {tunnel.name: number for number, tunnel in self._tunnels.items()}
        if isinstance(wanted, int) and wanted in self._tunnels:
            return self._tunnels[wanted], wanted
        for tunnel in self._config.tunnels:
            if wanted in (None, tunnel.name):
                return tunnel, open_ids.get(tunnel.name)
        names = ", ".join(tunnel.name for tunnel in self._config.tunnels)
        raise RequestError(f"there is no tunnel {wanted!r}; the configuration has {names}")

    def _choose_call(self, tunnel: TunnelConfig, arguments: Mapping[str, Any]) -> CallConfig:
        user = arguments.get("user")
        known = [call for call in tunnel.calls if user in (None, call.user)]
        if not known and user is None:
            raise RequestError(f"tunnel {tunnel.name} has no call configured; name a user")
        if not known and user not in self._config.credentials.users:
            raise RequestError(
                f"there is no secret of user {user!r}; add it to [users] of the secrets file "
                "and start the LAC again"
            )
        call = known[0] if known else CallConfig(user=str(user))
        routes = _texts(arguments, "routes", call.routes, prefix_problem)
        addresses = _texts(arguments, "addresses", call.addresses, interface_problem)
        if wrong := routes_into_itself(routes, tunnel.peer.host):
            raise RequestError(f"routes: {wrong}")
        return CallConfig(
            user=call.user,
            called_number=call.called_number,
            calling_number=call.calling_number,
            routes=routes,
            addresses=addresses,
        )

    def _open(self, tunnel: TunnelConfig) -> int:
        """Open a tunnel; its socket is connected only once the peer answered.

        The answerer may choose another port (RFC 2661 §8.1), which a connected socket would
        never hear from.
        """
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
        self._tunnels[local_tunnel_id] = tunnel
        return local_tunnel_id

    def _place(self, local_tunnel_id: int, call: CallConfig) -> int:
        parameters = CallParameters(
            called_number=call.called_number, calling_number=call.calling_number
        )
        local_session_id = self._daemon.endpoint.place_call(
            local_tunnel_id, self._daemon.now(), parameters
        )
        self._daemon.view.placed(local_tunnel_id, local_session_id)
        self._calls[local_tunnel_id, local_session_id] = call
        return local_session_id


def _texts(
    arguments: Mapping[str, Any],
    name: str,
    default: tuple[str, ...],
    find_problem: Callable[[str], str | None],
) -> tuple[str, ...]:
    """Read a list of texts that somebody asked with; they end up in iproute2's commands."""
    values = arguments.get(name, default)
    if not isinstance(values, list | tuple):
        raise RequestError(f"{name} must be a list of texts, not {values!r}")
    for value in values:
        if not isinstance(value, str) or (problem := find_problem(value)):
            raise RequestError(
                f"{name}: {value!r} is {problem if isinstance(value, str) else 'no text'}"
            )
    return tuple(values)
