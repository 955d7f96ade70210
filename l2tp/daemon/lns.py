"""What an LNS decides: whom it takes, and which addresses and routes they get."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from l2tp.config.settings import DaemonConfig, LnsConfig
from l2tp.daemon.control_server import RequestError
from l2tp.daemon.dialler import Dialler
from l2tp.daemon.roles import CallRefused, Role
from l2tp.kernel.network import route_command
from l2tp.ppp.exits import IPCP
from l2tp.ppp.options import PppCall
from l2tp.ppp.pool import AddressPool, PoolExhausted
from l2tp.protocol.constants import CallResult, ErrorCode
from l2tp.protocol.errors import L2tpError, ResultCode
from l2tp.protocol.events import CallAnswered, CallRequested
from l2tp.protocol.extensions import DisconnectCode
from l2tp.protocol.parameters import CallParameters

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon
    from l2tp.ppp.sessions import Session


class Lns(Role):
    """Takes every call that it has an address for; PPP decides the rest."""

    def __init__(self, daemon: Daemon, config: DaemonConfig, lns: LnsConfig) -> None:
        self._daemon = daemon
        self._config = config
        self._lns = lns
        self._dialler = Dialler(daemon)
        self._pool = AddressPool(lns.pool, lns.reserved)
        self._given: dict[tuple[int, int], IPv4Address] = {}

    def start(self) -> None:
        """Open the tunnels that are configured to be there from the start."""
        for tunnel in self._config.tunnels:
            if tunnel.at_start:
                self._dialler.open(tunnel)

    def reconfigure(self, config: DaemonConfig) -> None:
        """Give addresses of the new pool from now on; those that are given stay so."""
        lns = config.lns
        if lns is None:
            return
        if (lns.pool, lns.reserved) != (self._lns.pool, self._lns.reserved):
            # What is given must be given to nobody else while its session lives.
            taken = frozenset(self._given.values())
            self._pool = AddressPool(lns.pool, lns.reserved, taken)
        self._config, self._lns = config, lns
        try:
            self.start()
        except L2tpError as error:
            self._daemon.log.write("DialFailed", cause=str(error))

    def tunnel_name(self, local_tunnel_id: int) -> str | None:
        """Return what the configuration calls the tunnel."""
        return self._dialler.name_of(local_tunnel_id)

    def plan_call(self, event: CallRequested | CallAnswered) -> PppCall:
        """Give the call an address; refuse it when the pool has none."""
        if not self._config.ppp.ipv4:
            return self._call(event, None)
        try:
            address = self._pool.take()
        except PoolExhausted as error:
            code = ErrorCode.INSUFFICIENT_RESOURCES
            result = ResultCode(CallResult.NO_FACILITIES_TEMPORARY, code, "no free address")
            raise CallRefused(
                str(error), result, code=DisconnectCode.NO_COMMON_ADDRESS, protocol=IPCP
            ) from error
        self._given[event.local_tunnel_id, event.local_session_id] = address
        return self._call(event, address)

    def _call(self, event: CallRequested | CallAnswered, address: IPv4Address | None) -> PppCall:
        return PppCall(
            local_tunnel_id=event.local_tunnel_id,
            local_session_id=event.local_session_id,
            name=self._config.endpoint.host_name,
            answers=True,
            local_ipv4=str(self._lns.local_ipv4) if address else None,
            peer_ipv4=str(address) if address else None,
        )

    def authenticated(self, session: Session) -> None:
        """Give a user with a fixed address that one instead of the pool's, to one session only.

        pppd does the same by its secrets file. Raises CallRefused while another session has it.
        """
        user = self._lns.users.get(session.ppp.user or "")
        key = session.local_tunnel_id, session.local_session_id
        if user is None or user.ipv4 is None or self._given.get(key) in (None, user.ipv4):
            return
        holder = next((ids for ids, given in self._given.items() if given == user.ipv4), None)
        if holder is not None:
            result = ResultCode(
                CallResult.NO_FACILITIES_TEMPORARY,
                ErrorCode.INSUFFICIENT_RESOURCES,
                "the user's address is in use",
            )
            raise CallRefused(
                f"{user.name}'s address {user.ipv4} is in use by session {holder[0]}/{holder[1]}",
                result,
                code=DisconnectCode.ADDRESS_NOT_PERMITTED,
                protocol=IPCP,
            )
        self._pool.release(self._given[key])
        self._given[key] = user.ipv4

    def advertised_prefix(self, session: Session) -> str | None:
        """Return the prefix that the configuration gives the session's user."""
        user = self._lns.users.get(session.ppp.user or "")
        return user.ipv6_prefix if user else None

    def takes_advertisements(self) -> bool:
        """Take nothing that callers advertise."""
        return False

    def network_commands(self, session: Session, family: str) -> list[str]:
        """Route the prefixes behind the user, who is known once PPP authenticated him."""
        user = self._lns.users.get(session.ppp.user or "")
        interface = session.ppp.interface
        if user is None or interface is None:
            return []
        prefixes = [*user.routes, *filter(None, [user.ipv6_prefix])]
        return [
            route_command(prefix, interface)
            for prefix in dict.fromkeys(prefixes)
            if (":" in prefix) == (family == "ipv6")
        ]

    def user_of(self, local_tunnel_id: int, local_session_id: int) -> str | None:
        """Nobody's before PPP says so."""
        return None

    def forget_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Give the session's address back."""
        address = self._given.pop((local_tunnel_id, local_session_id), None)
        if address is not None:
            self._pool.release(address)

    def forget_tunnel(self, local_tunnel_id: int) -> None:
        """Forget which tunnel of the configuration it was."""
        self._dialler.forget(local_tunnel_id)

    def place_call(self, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Have a LAC dial a number (RFC 2661 §7.5), in a tunnel that either of us opened."""
        number = arguments.get("number")
        if not isinstance(number, str) or not number:
            raise RequestError(
                "an LNS places outgoing calls: name the number that the LAC is to dial, which has "
                "it as a [[line]]; for a call of one of its users ask the LAC's control socket"
            )
        local_tunnel_id = self._choose_tunnel(arguments.get("tunnel"))
        local_session_id = self._daemon.endpoint.request_call(
            local_tunnel_id, self._daemon.now(), CallParameters(called_number=number)
        )
        self._daemon.view.placed(local_tunnel_id, local_session_id)
        return local_tunnel_id, local_session_id

    def _choose_tunnel(self, wanted: object) -> int:
        """Find an open tunnel by id or peer's host name, or open the configured one."""
        there = [one for one in self._daemon.view.tunnels.values() if one.state == "established"]
        for tunnel in there:
            names = (tunnel.local_tunnel_id, str(tunnel.local_tunnel_id), tunnel.peer_host_name)
            if wanted is None or wanted in names:
                return tunnel.local_tunnel_id
        if not self._config.tunnels:
            known = ", ".join(f"{one.local_tunnel_id} ({one.peer_host_name})" for one in there)
            what = "no tunnel is open" if wanted is None else f"there is no open tunnel {wanted!r}"
            raise RequestError(f"{what}; open are {known or 'none'}")
        return self._dialler.open(self._dialler.choose(wanted))
