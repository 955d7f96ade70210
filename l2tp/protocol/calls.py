"""The sessions of one tunnel: who they are, how calls are placed, and their set-up deadlines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Final, Protocol

from l2tp.protocol.call_messages import check_call
from l2tp.protocol.call_transitions import SessionInput, SessionRole, SessionState
from l2tp.protocol.capabilities import fit_to_peer
from l2tp.protocol.causes import Closure
from l2tp.protocol.connect_speeds import ConnectSpeeds
from l2tp.protocol.constants import MAXIMUM_ID, CallResult
from l2tp.protocol.deadlines import Deadlines
from l2tp.protocol.errors import LocalProtocolError, ResultCode
from l2tp.protocol.events import Event
from l2tp.protocol.ids import choose_id
from l2tp.protocol.messages import (
    CSUN,
    CSURQ,
    ControlMessage,
    Greeting,
)
from l2tp.protocol.parameters import CallParameters, EndpointConfig
from l2tp.protocol.session import Session

# One id is left for the CDN that refuses what is too much.
_MAXIMUM_SESSIONS: Final = MAXIMUM_ID - 1


class CallHost(Protocol):
    """What the sessions need of their tunnel."""

    @property
    def config(self) -> EndpointConfig:
        """The endpoint's configuration."""

    @property
    def local_tunnel_id(self) -> int:
        """The tunnel's id on our side."""

    @property
    def peer_tunnel_id(self) -> int:
        """The tunnel's id on the peer's side, 0 while unknown."""

    @property
    def greeting(self) -> Greeting | None:
        """What the peer said of itself; None while it has not."""

    def emit(self, event: Event) -> None:
        """Report an event."""

    def count_sessions_of_peer(self) -> int:
        """How many sessions all tunnels with this peer's host have."""

    def send_for_session(
        self, message: ControlMessage, *, local_session_id: int, peer_session_id: int
    ) -> None:
        """Queue a message; `peer_session_id` goes into the header, 0 while unknown."""


class Calls:
    """The sessions of one tunnel, found by our id or, for an early CDN, by the peer's."""

    __slots__ = (
        "_deadlines",
        "_host",
        "_next_serial",
        "_random",
        "_speeds",
        "_waiting",
        "by_peer_id",
        "sessions",
    )

    def __init__(self, host: CallHost, random: Random, next_serial: Callable[[], int]) -> None:
        self._host = host
        self._random = random
        self._next_serial = next_serial
        self.sessions: dict[int, Session] = {}
        """By our ids."""
        self.by_peer_id: dict[int, Session] = {}
        """By the peer's ids, as far as they are known."""
        self._speeds = ConnectSpeeds(self.sessions, self._send_for_tunnel)
        self._deadlines: Deadlines[int] = Deadlines()
        self._waiting: list[Session] = []

    @property
    def config(self) -> EndpointConfig:
        """The endpoint's configuration."""
        return self._host.config

    # What a session needs of its host.

    @property
    def local_tunnel_id(self) -> int:
        """The tunnel's id on our side."""
        return self._host.local_tunnel_id

    @property
    def peer_tunnel_id(self) -> int:
        """The tunnel's id on the peer's side."""
        return self._host.peer_tunnel_id

    def emit(self, event: Event) -> None:
        """Report an event."""
        self._host.emit(event)

    def send(self, message: ControlMessage, session: Session) -> None:
        """Queue a message of this session, addressed with the peer's id as far as it is known."""
        self._host.send_for_session(
            message,
            local_session_id=session.local_session_id,
            peer_session_id=session.peer_session_id or 0,
        )

    def _send_for_tunnel(self, message: ControlMessage) -> None:
        self._host.send_for_session(message, local_session_id=0, peer_session_id=0)

    def forget(self, session: Session) -> None:
        """Drop a session that is back in idle."""
        self.sessions.pop(session.local_session_id, None)
        self._deadlines.arm(session.local_session_id, None)
        if session.peer_session_id and self.by_peer_id.get(session.peer_session_id) is session:
            del self.by_peer_id[session.peer_session_id]

    def set_up(self, session: Session) -> None:
        """Note that a session's set-up is over."""
        self._deadlines.arm(session.local_session_id, None)

    # What the endpoint's user asks for.

    def place(self, call: CallParameters, now: float, *, outgoing: bool) -> Session:
        """Make a LAC's incoming or an LNS's outgoing call, which waits for the tunnel (§7.2)."""
        if self._is_full:
            raise LocalProtocolError(
                f"tunnel {self.local_tunnel_id} has {len(self.sessions)} sessions, the limit:"
                " raise maximum_sessions_per_tunnel, or hang one up",
                section="§7.4.1",
            )
        if call.call_serial_number is None:
            call = replace(call, call_serial_number=self._next_serial())
        check_call(call, outgoing=outgoing)
        role = SessionRole.LNS_OUTGOING if outgoing else SessionRole.LAC_INCOMING
        session = self.add(role, call, None, now)
        session.step(SessionInput.LOCAL_CALL)
        self._waiting.append(session)
        return session

    def open_waiting(self) -> None:
        """Tell the sessions that wait for it that the tunnel is open (§7.2.1)."""
        waiting, self._waiting = self._waiting, []
        for session in waiting:
            if session.state is SessionState.WAIT_TUNNEL:
                self._open(session)

    def _open(self, session: Session) -> None:
        """Send the request, if the peer advertised what the call needs of it (§4.4.3, §4.4.4)."""
        session.call, cause = fit_to_peer(session.call, session.role, self._host.greeting)
        if cause is None:
            session.step(SessionInput.TUNNEL_OPEN)
        else:
            session.step(SessionInput.LOCAL_CLOSE, closure=Closure(None, cause))

    def update_speed(self, local_session_id: int, tx_bps: int, rx_bps: int) -> None:
        """Tell the LNS of a line's new speeds (RFC 5515)."""
        self._speeds.update(self.find(local_session_id), tx_bps, rx_bps)

    def receive_speeds(self, message: CSUN | CSURQ) -> None:
        """Take what the peer says or asks of its callers' lines (RFC 5515)."""
        self._speeds.receive(message)

    def request_speeds(self, local_session_ids: Iterable[int]) -> None:
        """Ask the LAC for the speeds of its callers' lines (RFC 5515)."""
        self._speeds.request([self.find(number) for number in local_session_ids])

    def find(self, local_session_id: int) -> Session:
        """The session of this id; raises LocalProtocolError where there is none."""
        session = self.sessions.get(local_session_id)
        if session is None:
            raise LocalProtocolError(
                f"tunnel {self.local_tunnel_id} has no session {local_session_id}", section="§7.4"
            )
        return session

    def close_all(self, closure: Closure) -> None:
        """End every session without a CDN: the StopCCN speaks for them (§5.7)."""
        for session in list(self.sessions.values()):
            session.step(SessionInput.TUNNEL_CLOSED, closure=closure)

    # Time.

    def get_timer(self) -> float | None:
        """When the next set-up is overdue; None when none is under way."""
        return self._deadlines.get_timer()

    def handle_timer(self, now: float) -> None:
        """End the sessions whose set-up is overdue at `now`."""
        for local_session_id in self._deadlines.take_due(now):
            session = self.sessions[local_session_id]
            timeout_s = self._host.config.session_setup_timeout_s
            cause = f"call not set up in {timeout_s:g} s: still {session.state} (RFC 2661 §7.3)"
            result = ResultCode(CallResult.NOT_ESTABLISHED_IN_TIME)
            session.step(SessionInput.SETUP_TIMEOUT, closure=Closure(result, cause))

    def add(
        self, role: SessionRole, call: CallParameters, peer_session_id: int | None, now: float
    ) -> Session:
        """Make a session in idle; raises LocalProtocolError when every id is taken."""
        local_session_id = choose_id(self._random, self.sessions.__contains__)
        if peer_session_id in self.by_peer_id:
            # Refused, and by a CDN whose header does not name the session that has the id (§5.3).
            peer_session_id = None
        session = Session(
            self,
            role,
            local_session_id=local_session_id,
            call=call,
            peer_session_id=peer_session_id,
        )
        self._deadlines.arm(local_session_id, now + self._host.config.session_setup_timeout_s)
        self.sessions[local_session_id] = session
        if peer_session_id:
            self.by_peer_id[peer_session_id] = session
        return session

    @property
    def _is_full(self) -> bool:
        return len(self.sessions) >= min(
            self._host.config.maximum_sessions_per_tunnel, _MAXIMUM_SESSIONS
        )

    def surplus(self) -> str | None:
        """Of what there is too much for one session more; None where there is room."""
        if self._is_full:
            return "too many sessions"
        per_peer = self._host.config.limits.maximum_sessions_per_peer
        if per_peer and self._host.count_sessions_of_peer() >= per_peer:
            return "too many sessions of this peer"
        return None
