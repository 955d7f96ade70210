"""What a LAC decides: which tunnels it opens, whose calls it places, what they set up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from l2tp.config.settings import CallConfig, DaemonConfig, TunnelConfig
from l2tp.daemon.call_requests import choose_call
from l2tp.daemon.dialler import Dialler
from l2tp.daemon.redial import Redial
from l2tp.daemon.roles import CallRefused, Connection, Role
from l2tp.kernel.network import address_command, route_command
from l2tp.ppp.options import PppCall
from l2tp.protocol.constants import CallResult
from l2tp.protocol.errors import HANG_UP, L2tpError, ResultCode
from l2tp.protocol.events import CallAnswered, CallRequested
from l2tp.protocol.parameters import CallParameters

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon
    from l2tp.ppp.sessions import Session


@dataclass(frozen=True, slots=True)
class _Call:
    """A call, and the configured tunnel that it is placed in; none where the peer asked for it."""

    tunnel: TunnelConfig | None
    config: CallConfig
    wanted: bool = True


class Lac(Role):
    """Opens its configured tunnels and places their calls, then those it is asked for."""

    def __init__(self, daemon: Daemon, config: DaemonConfig) -> None:
        self._daemon = daemon
        self._config = config
        self._dialler = Dialler(daemon)
        self._calls: dict[tuple[int, int], _Call] = {}
        self._redial = Redial(asyncio.get_running_loop(), daemon.log, config.redial, self._again)

    def start(self) -> None:
        """Open the tunnels and place the calls that are configured to be there from the start."""
        for tunnel in self._config.tunnels:
            self._dial(tunnel, tunnel.calls)

    def reconfigure(self, config: DaemonConfig) -> None:
        """Open and place what is new; what is there stays, also what is configured no more."""
        before = {tunnel.name: tunnel.calls for tunnel in self._config.tunnels}
        self._config = config
        self._redial.reconfigure(config.redial, config.tunnels)
        for tunnel in config.tunnels:
            known = before.get(tunnel.name)
            new = [call for call in tunnel.calls if call not in (known or ())]
            if new or known is None:
                try:
                    self._dial(tunnel, new)
                except L2tpError as error:
                    self._daemon.log.write("DialFailed", tunnel=tunnel.name, cause=str(error))

    def _dial(self, tunnel: TunnelConfig, calls: tuple[CallConfig, ...] | list[CallConfig]) -> None:
        if not tunnel.at_start:
            return
        local_tunnel_id = self._dialler.open(tunnel)
        for call in calls:
            if call.at_start:
                self._place(local_tunnel_id, tunnel, call)

    def close(self) -> None:
        """Place nothing any more."""
        self._redial.close()

    def plan_call(self, event: CallRequested | CallAnswered) -> PppCall:
        """Call as the user that the call was placed for, or whose line an LNS has called."""
        ids = event.local_tunnel_id, event.local_session_id
        if isinstance(event, CallRequested):
            self._calls[ids] = _Call(None, self._line(event.call.called_number))
        call = self._calls.get(ids)
        if call is None:
            raise CallRefused("nobody asked for this call", HANG_UP)
        return PppCall(
            local_tunnel_id=event.local_tunnel_id,
            local_session_id=event.local_session_id,
            name=call.config.user,
            answers=False,
            sequencing=call.config.sequencing,
        )

    def _line(self, number: str | None) -> CallConfig:
        for line in self._config.lines:
            if line.called_number == number:
                return line
        known = ", ".join(str(line.called_number) for line in self._config.lines) or "none"
        text = f"there is no [[line]] with number {number!r}; there are: {known}"
        raise CallRefused(text, ResultCode(CallResult.INVALID_DESTINATION, 0, "no such number"))

    def connection(self, event: CallRequested) -> Connection:
        """Answer as the called party at once, as fast as the LNS wants it."""
        call = self._calls[event.local_tunnel_id, event.local_session_id]
        speed_bps = event.call.maximum_bps or event.call.tx_connect_speed_bps
        return Connection(speed_bps, sequencing_required=call.config.sequencing)

    def network_commands(self, session: Session, family: str) -> list[str]:
        """Put the call's addresses and routes of this family on its interface."""
        call = self._calls.get((session.local_tunnel_id, session.local_session_id))
        interface = session.ppp.interface
        if call is None or interface is None:
            return []
        commands = [
            address_command(address, interface)
            for address in call.config.addresses
            if (":" in address) == (family == "ipv6")
        ]
        commands += [
            route_command(prefix, interface)
            for prefix in call.config.routes
            if (":" in prefix) == (family == "ipv6")
        ]
        return commands

    def authenticated(self, session: Session) -> None:
        """Whom we call as is known, and the LNS need not say who it is."""

    def advertised_prefix(self, session: Session) -> str | None:
        """Advertise nothing: the LNS does."""
        return None

    def takes_advertisements(self) -> bool:
        """Take what the LNS advertises."""
        return True

    def user_of(self, local_tunnel_id: int, local_session_id: int) -> str | None:
        """Return the user whose call it is."""
        call = self._calls.get((local_tunnel_id, local_session_id))
        return call.config.user if call else None

    def tunnel_name(self, local_tunnel_id: int) -> str | None:
        """Return what the configuration calls the tunnel."""
        return self._dialler.name_of(local_tunnel_id)

    def session_ready(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Forget how often the call was placed in vain."""
        call = self._calls.get((local_tunnel_id, local_session_id))
        if call is not None and call.tunnel is not None:
            self._redial.up(call.tunnel, call.config)

    def let_go(self, local_tunnel_id: int, local_session_id: int | None = None) -> None:
        """Do not place a call again that is hung up here; None means every call of the tunnel."""
        for ids, call in self._calls.items():
            if ids[0] == local_tunnel_id and local_session_id in (None, ids[1]):
                self._calls[ids] = replace(call, wanted=False)

    def forget_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Forget the call, or place it again if that is wanted."""
        call = self._calls.pop((local_tunnel_id, local_session_id), None)
        if call is None or call.tunnel is None or self._daemon.stopping:
            return
        if call.wanted and call.config.redial:
            self._redial.lost(call.tunnel, call.config)

    def forget_tunnel(self, local_tunnel_id: int) -> None:
        """Forget which tunnel of the configuration it was."""
        self._dialler.forget(local_tunnel_id)

    def place_call(self, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Place a call in a tunnel given by name or id, opening the tunnel if need be."""
        tunnel = self._dialler.choose(arguments.get("tunnel"))
        call = choose_call(self._config, tunnel, arguments)
        local_tunnel_id = self._dialler.open(tunnel)
        return local_tunnel_id, self._place(local_tunnel_id, tunnel, call)

    def _again(self, tunnel: TunnelConfig, call: CallConfig) -> None:
        self._place(self._dialler.open(tunnel), tunnel, call)
        self._daemon.transact()

    def _place(self, local_tunnel_id: int, tunnel: TunnelConfig, call: CallConfig) -> int:
        parameters = CallParameters(
            called_number=call.called_number,
            calling_number=call.calling_number,
            sequencing_required=call.sequencing,
        )
        local_session_id = self._daemon.endpoint.place_call(
            local_tunnel_id, self._daemon.now(), parameters
        )
        self._daemon.view.placed(local_tunnel_id, local_session_id)
        self._calls[local_tunnel_id, local_session_id] = _Call(tunnel, call)
        return local_session_id
