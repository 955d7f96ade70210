"""What a daemon does when a call comes, answers and goes: kernel session, pppd, network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from l2tp.daemon.farewells import Farewells
from l2tp.daemon.report import inner_mtu
from l2tp.daemon.roles import CallRefused
from l2tp.kernel import network
from l2tp.ppp.advertising import Advertising
from l2tp.ppp.exits import PppExit
from l2tp.ppp.home import PppHome
from l2tp.ppp.phases import Notice
from l2tp.ppp.sessions import Session
from l2tp.protocol.constants import CallResult, ErrorCode
from l2tp.protocol.errors import HANG_UP, KernelError, L2tpError, ResultCode
from l2tp.protocol.events import CallAnswered, CallRequested, SessionClosed, SessionEstablished
from l2tp.protocol.extensions import DisconnectCode, DisconnectDirection

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon

_UP: Final = {"ip-up": "ipv4", "ipv6-up": "ipv6"}
_DOWN: Final = {"ip-down": "ipv4", "ipv6-down": "ipv6"}


class SessionEvents:
    """Keeps kernel sessions and pppds in step with calls, in both directions."""

    def __init__(self, daemon: Daemon, home: PppHome) -> None:
        self._daemon = daemon
        # Sessions that the protocol has closed while their PPP was still ending.
        self._closed: set[tuple[int, int]] = set()
        # What the CDN is to say of sessions whose PPP we are ending.
        self._results: dict[tuple[int, int], ResultCode] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells = Farewells(asyncio.get_running_loop())
        self._advertising = Advertising(asyncio.get_running_loop(), home, daemon.log)

    def requested(self, event: CallRequested) -> None:
        """Take a call, if kernel, pppd and role can; PPP may start before the ICRP arrives."""
        ids = event.local_tunnel_id, event.local_session_id
        refused = self._open_session(event)
        if refused is None:
            self._daemon.endpoint.accept_call(*ids, self._daemon.now())
            if event.outgoing:
                connection = self._daemon.role.connection(event)
                self._daemon.endpoint.connect_call(*ids, self._daemon.now(), **connection._asdict())
        else:
            self._refuse(event, refused)

    def answered(self, event: CallAnswered) -> None:
        """Start PPP on a call that the LNS took."""
        refused = self._open_session(event)
        if refused is not None:
            self._refuse(event, refused)

    def _refuse(self, event: CallRequested | CallAnswered, refused: CallRefused) -> None:
        self._daemon.endpoint.hang_up(
            event.local_tunnel_id,
            event.local_session_id,
            self._daemon.now(),
            refused.result,
            disconnect_cause=refused.disconnect_cause,
        )

    def _open_session(self, event: CallRequested | CallAnswered) -> CallRefused | None:
        """Open the kernel's session and start pppd; returns what to refuse the call with."""
        if self._daemon.stopping:
            return CallRefused("the daemon is stopping", HANG_UP)
        try:
            call = self._daemon.role.plan_call(event)
            self._daemon.sessions.open(call, event.peer_session_id)
        except (L2tpError, OSError) as error:
            self._note_failure(event, error)
            if isinstance(error, CallRefused):
                return error
            code = ErrorCode.INSUFFICIENT_RESOURCES
            result = ResultCode(CallResult.GENERAL_ERROR, code, "no data plane")
            return CallRefused(str(error), result)
        return None

    def established(self, event: SessionEstablished) -> None:
        """Number the data of a call whose LAC requires it, as only its ICCN said (§4.4.6)."""
        session = self._daemon.sessions.find(event.local_tunnel_id, event.local_session_id)
        if session is None or not event.call.sequencing_required:
            return
        try:
            self._daemon.sessions.number(session)
        except KernelError as error:
            self._note_failure(event, error)
            code = ErrorCode.INSUFFICIENT_RESOURCES
            result = ResultCode(CallResult.GENERAL_ERROR, code, "cannot number data")
            ids = event.local_tunnel_id, event.local_session_id
            self._daemon.endpoint.hang_up(*ids, self._daemon.now(), result)

    def _note_failure(
        self, event: CallRequested | CallAnswered | SessionEstablished, error: Exception
    ) -> None:
        self._daemon.log.write(
            "DataPlaneFailed",
            local_tunnel_id=event.local_tunnel_id,
            local_session_id=event.local_session_id,
            cause=str(error),
        )

    def closed(self, event: SessionClosed) -> None:
        """End the PPP of a session that the control connection closed."""
        key = event.local_tunnel_id, event.local_session_id
        self._farewells.forget(key)
        session = self._daemon.sessions.find(*key)
        if session is None:
            self._forget(*key)
        else:
            self._closed.add(key)
            self._daemon.sessions.end(session)

    def ppp_ended(self, session: Session, end: PppExit) -> None:
        """Tell the peer that PPP is over, unless it said so first."""
        key = session.local_tunnel_id, session.local_session_id
        self._advertising.stop(session)
        if key in self._closed:
            self._closed.discard(key)
            self._forget(*key)
            self._daemon.tunnel_events.retire(session.local_tunnel_id)
        elif end.by_peer and not self._daemon.stopping:
            patience_s = self._daemon.config.ppp_timeout_s
            self._farewells.wait(key, patience_s, lambda: self._say_ended(key, end))
        else:
            self._say_ended(key, end)
        self._daemon.transact()

    def _say_ended(self, key: tuple[int, int], end: PppExit) -> None:
        """Send the CDN of a session whose PPP is over."""
        result = self._results.pop(key, None) or end.result_code()
        self._daemon.endpoint.hang_up(
            *key, self._daemon.now(), result, disconnect_cause=end.disconnect_cause()
        )
        self._daemon.transact()

    def _forget(self, local_tunnel_id: int, local_session_id: int) -> None:
        self._results.pop((local_tunnel_id, local_session_id), None)
        self._daemon.role.forget_session(local_tunnel_id, local_session_id)
        self._daemon.view.forget_session(local_tunnel_id, local_session_id)

    def ppp_noticed(self, session: Session, notice: Notice) -> None:
        """Log what pppd's scripts say, and set the network up behind what came up."""
        ids = {
            "local_tunnel_id": session.local_tunnel_id,
            "local_session_id": session.local_session_id,
        }
        ppp = session.ppp
        if (family := _UP.get(notice.script)) is not None:
            self._daemon.log.write(
                "PppUp",
                **ids,
                family=family,
                interface=ppp.interface,
                user=ppp.user,
                local=getattr(ppp, f"local_{family}"),
                peer=getattr(ppp, f"peer_{family}"),
            )
            task = asyncio.get_running_loop().create_task(self._set_network(session, family))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (family := _DOWN.get(notice.script)) is not None:
            self._daemon.log.write("PppDown", **ids, family=family, interface=ppp.interface)
        else:
            self._daemon.log.write(
                "PppAuthenticated", **ids, user=ppp.user, interface=ppp.interface
            )
            self._admit(session)

    def _admit(self, session: Session) -> None:
        """Let the role look at who it is, and end the session if it refuses."""
        try:
            self._daemon.role.authenticated(session)
        except CallRefused as refused:
            self._daemon.log.write(
                "UserRefused",
                local_tunnel_id=session.local_tunnel_id,
                local_session_id=session.local_session_id,
                user=session.ppp.user,
                cause=str(refused),
            )
            self._daemon.sessions.end(session, _refusal(refused))

    async def _set_network(self, session: Session, family: str) -> None:
        """Install a session's addresses and routes; it is ready when all families have them."""
        ids = {
            "local_tunnel_id": session.local_tunnel_id,
            "local_session_id": session.local_session_id,
        }
        role = self._daemon.role
        try:
            commands = role.network_commands(session, family)
            if family == "ipv6" and session.ppp.interface and role.takes_advertisements():
                network.accept_advertisements(session.ppp.interface)
            before = await network.apply(commands)
        except L2tpError as error:
            self._daemon.log.write("NetworkFailed", **ids, family=family, cause=str(error))
            return
        if commands:
            self._daemon.log.write("NetworkSet", **ids, family=family, commands=commands)
        if before:
            cause = "these routes were here before, and packets take them and not the session"
            self._daemon.log.write("RoutesShadowed", **ids, routes=before, cause=cause)
        if family == "ipv6" and (prefix := role.advertised_prefix(session)):
            self._advertising.start(session, prefix, self._daemon.config.ppp.mtu)
        session.families.add(family)
        if session.families >= self._daemon.config.ppp.families and not session.ready:
            session.ready = True
            self._daemon.log.write("SessionReady", **ids, interface=session.ppp.interface)
            self._daemon.role.session_ready(**ids)
            self._compare_mtu(session)

    def _compare_mtu(self, session: Session) -> None:
        """Say so when full packets will leave in fragments: half of them lost is a stall."""
        room = inner_mtu(self._daemon, session.local_tunnel_id)
        if room is not None and self._daemon.config.ppp.mtu > room:
            self._daemon.log.write(
                "MtuExceedsPath",
                local_tunnel_id=session.local_tunnel_id,
                local_session_id=session.local_session_id,
                mtu=self._daemon.config.ppp.mtu,
                unfragmented_mtu=room,
                cause=f"packets of more than {room} octets leave the tunnel in fragments; "
                f"set ppp.mtu and ppp.mru to {room} at both ends",
            )

    def hang_up(self, local_tunnel_id: int, local_session_id: int) -> None:
        """End PPP first, so that its farewell still has a session to travel in; then the CDN."""
        session = self._daemon.sessions.find(local_tunnel_id, local_session_id)
        if session is None:
            self._daemon.endpoint.hang_up(local_tunnel_id, local_session_id, self._daemon.now())
            self._daemon.transact()
        else:
            self._results.setdefault((local_tunnel_id, local_session_id), HANG_UP)
            self._daemon.sessions.end(session)


def _refusal(refused: CallRefused) -> PppExit:
    """Say as the end of a PPP why the role did not take it."""
    result = CallResult(refused.result.result)
    code, protocol, direction, _ = refused.disconnect_cause
    return PppExit(
        -1, str(refused), result, DisconnectCode(code), protocol, DisconnectDirection(direction)
    )
