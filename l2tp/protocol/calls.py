"""The sessions of one tunnel: who they are, which message is whose, and their set-up deadlines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Final, Protocol

from l2tp.protocol.call_messages import call_from_request, check_call
from l2tp.protocol.call_transitions import SessionInput, SessionRole, SessionState
from l2tp.protocol.capabilities import fit_to_peer, id_in_use, judge_request
from l2tp.protocol.causes import Closure, hung_up_by_peer
from l2tp.protocol.connect_speeds import ConnectSpeeds
from l2tp.protocol.constants import MAXIMUM_ID, CallResult, ErrorCode, MessageType
from l2tp.protocol.deadlines import Deadlines
from l2tp.protocol.errors import LocalProtocolError, MessageError, ResultCode, cite
from l2tp.protocol.events import Event
from l2tp.protocol.ids import choose_id
from l2tp.protocol.messages import (
    CDN,
    CSUN,
    CSURQ,
    ICRP,
    ICRQ,
    OCRP,
    OCRQ,
    ControlMessage,
    Greeting,
)
from l2tp.protocol.parameters import CallParameters, EndpointConfig
from l2tp.protocol.session import Session

_INPUTS: Final = {
    int(kind): SessionInput[kind.name]
    for kind in MessageType
    if kind.name in SessionInput.__members__
}
_ANSWERERS: Final[dict[int | None, SessionRole]] = {
    int(MessageType.ICRQ): SessionRole.LNS_INCOMING,
    int(MessageType.OCRQ): SessionRole.LAC_OUTGOING,
}
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
        "_by_peer_id",
        "_deadlines",
        "_host",
        "_next_serial",
        "_random",
        "_speeds",
        "_waiting",
        "sessions",
    )

    def __init__(self, host: CallHost, random: Random, next_serial: Callable[[], int]) -> None:
        self._host = host
        self._random = random
        self._next_serial = next_serial
        self.sessions: dict[int, Session] = {}
        self._by_peer_id: dict[int, Session] = {}
        self._speeds = ConnectSpeeds(self.sessions, self._send_for_tunnel)
        self._deadlines: Deadlines[int] = Deadlines()
        self._waiting: list[Session] = []

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
        if session.peer_session_id and self._by_peer_id.get(session.peer_session_id) is session:
            del self._by_peer_id[session.peer_session_id]

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
        session = self._add(role, call, None, now)
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

    # What the peer sends.

    def receive(self, session_id: int, message: ControlMessage, now: float) -> bool:
        """Take a message of a session; false when it is for a session that is gone."""
        if isinstance(message, CSUN | CSURQ):
            self._speeds.receive(message)
            return True
        if session_id not in self.sessions and isinstance(message, ICRQ | OCRQ):
            # Nobody has that id, so a request means a new session all the same (quirks.py).
            self._receive_request(message, now)
            return True
        session = self._lookup(session_id, message)
        if session is None:
            return self._receive_in_idle(message, now)
        if isinstance(message, ICRP | OCRP) and session.state is SessionState.WAIT_REPLY:
            holder = self._by_peer_id.setdefault(message.assigned_session_id, session)
            if holder is not session:
                # Nothing is learned of it: our CDN must not bear the other session's id.
                refusal = id_in_use(message.assigned_session_id)
                cause = f"{message.name} refused: {refusal.message} (RFC 2661 §4.4.4)"
                session.step(SessionInput.INVALID_MESSAGE, closure=Closure(refusal, cause))
                return True
        session.step(
            _INPUTS[message.message_type],
            message=message,
            closure=self._closure_for(session, message),
        )
        return True

    def _receive_in_idle(self, message: ControlMessage, now: float) -> bool:
        """Take a message that no session awaits; false where there is nothing to do (§7.4, §7.5).

        Who answers calls has asked for none, and refuses the answer to that. Everywhere else what
        ended the session has crossed the message, and there is nothing left to clean up.
        """
        config = self._host.config
        if isinstance(message, ICRP) and config.accepts_calls:
            role = SessionRole.LNS_INCOMING
        elif isinstance(message, OCRP) and config.accepts_outgoing_calls:
            role = SessionRole.LAC_OUTGOING
        else:
            return False
        session = self._add(role, CallParameters(), message.assigned_session_id, now)
        closure = self._closure_for(session, message)
        session.step(_INPUTS[message.message_type], closure=closure)
        return True

    def receive_invalid(self, session_id: int, error: MessageError, now: float) -> bool:
        """Take a message of a session that could not be decoded: the session ends (§7.1)."""
        assigned = error.fields.get("assigned_session_id")
        session = self.sessions.get(session_id)
        if error.message_type == MessageType.CDN:
            # It wants the session's end all the same, and a CDN is not answered with one.
            if session is None and not session_id and isinstance(assigned, int):
                session = self._by_peer_id.get(assigned)
            if session is None:
                return False
            said = error.fields.get("result_code")
            result = said if isinstance(said, ResultCode) else None
            cause = f"the peer hung up with an invalid CDN: {error}"
            session.step(SessionInput.CDN, closure=Closure(result, cause, by_peer=True))
            return True
        closure = Closure(error.result, f"invalid message: {error}")
        if session is None:
            if error.message_type not in _ANSWERERS or not isinstance(assigned, int):
                return False
            # A request that we cannot read is still refused by name (§7.1).
            role = _ANSWERERS[error.message_type]
            session = self._add(role, CallParameters(), assigned, now)
        session.step(SessionInput.INVALID_MESSAGE, closure=closure)
        return True

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

    def _add(
        self, role: SessionRole, call: CallParameters, peer_session_id: int | None, now: float
    ) -> Session:
        local_session_id = choose_id(self._random, self.sessions.__contains__)
        if peer_session_id in self._by_peer_id:
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
            self._by_peer_id[peer_session_id] = session
        return session

    @property
    def _is_full(self) -> bool:
        return len(self.sessions) >= min(
            self._host.config.maximum_sessions_per_tunnel, _MAXIMUM_SESSIONS
        )

    def _receive_request(self, message: ICRQ | OCRQ, now: float) -> None:
        refusal = judge_request(
            message,
            self._host.config,
            surplus=self._surplus(),
            is_id_taken=message.assigned_session_id in self._by_peer_id,
        )
        session = self._add(
            _ANSWERERS[message.message_type],
            call_from_request(message),
            message.assigned_session_id,
            now,
        )
        if refusal is None:
            session.step(_INPUTS[message.message_type])
        else:
            section = "§7.5.1" if isinstance(message, OCRQ) else "§7.4.2"
            cause = f"{message.name} refused: {refusal.message} ({cite(section)})"
            session.step(SessionInput.REQUEST_REFUSED, closure=Closure(refusal, cause))

    def _surplus(self) -> str | None:
        if self._is_full:
            return "too many sessions"
        per_peer = self._host.config.limits.maximum_sessions_per_peer
        if per_peer and self._host.count_sessions_of_peer() >= per_peer:
            return "too many sessions of this peer"
        return None

    def _lookup(self, session_id: int, message: ControlMessage) -> Session | None:
        if not session_id and isinstance(message, CDN):
            # Its sender may not know our id yet, so the AVP names the session (§4.4.4).
            return self._by_peer_id.get(message.assigned_session_id)
        return self.sessions.get(session_id)

    def _closure_for(self, session: Session, message: ControlMessage) -> Closure:
        if isinstance(message, CDN):
            return hung_up_by_peer(message)
        text = f"{message.name} in state {session.state}"
        result = ResultCode(CallResult.GENERAL_ERROR, ErrorCode.VENDOR_SPECIFIC, text)
        section = "§7.5" if session.role.is_outgoing else "§7.4"
        return Closure(result, f"out of sequence: {text} ({cite(section)})")
