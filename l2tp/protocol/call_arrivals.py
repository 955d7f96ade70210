"""What the peer sends for a tunnel's sessions: whose it is, and which requests are taken."""

from __future__ import annotations

from typing import Final

from l2tp.protocol.call_messages import call_from_request
from l2tp.protocol.call_transitions import SessionInput, SessionRole, SessionState
from l2tp.protocol.calls import Calls
from l2tp.protocol.capabilities import id_in_use, judge_request
from l2tp.protocol.causes import Closure, hung_up_by_peer
from l2tp.protocol.constants import CallResult, ErrorCode, MessageType
from l2tp.protocol.errors import MessageError, ResultCode, cite
from l2tp.protocol.messages import CDN, CSUN, CSURQ, ICRP, ICRQ, OCRP, OCRQ, ControlMessage
from l2tp.protocol.parameters import CallParameters
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


class CallArrivals:
    """Hands the messages of sessions to them, and makes those that are asked for."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def receive(self, session_id: int, message: ControlMessage, now: float) -> bool:
        """Take a message of a session; false when it is for a session that is gone."""
        if isinstance(message, CSUN | CSURQ):
            self._calls.receive_speeds(message)
            return True
        if session_id not in self._calls.sessions and isinstance(message, ICRQ | OCRQ):
            # Nobody has that id, so a request means a new session all the same (quirks.py).
            self._receive_request(message, now)
            return True
        session = self._lookup(session_id, message)
        if session is None:
            return self._receive_in_idle(message, now)
        if isinstance(message, ICRP | OCRP) and session.state is SessionState.WAIT_REPLY:
            holder = self._calls.by_peer_id.setdefault(message.assigned_session_id, session)
            if holder is not session:
                # Nothing is learned of it: our CDN must not bear the other session's id.
                refusal = id_in_use(message.assigned_session_id)
                cause = f"{message.name} refused: {refusal.message} (RFC 2661 §4.4.4)"
                session.step(SessionInput.INVALID_MESSAGE, closure=Closure(refusal, cause))
                return True
        session.step(
            _INPUTS[message.message_type],
            message=message,
            closure=_closure_for(session, message),
        )
        return True

    def _receive_in_idle(self, message: ControlMessage, now: float) -> bool:
        """Take a message that no session awaits; false where there is nothing to do (§7.4, §7.5).

        Who answers calls has asked for none, and refuses the answer to that. Everywhere else what
        ended the session has crossed the message, and there is nothing left to clean up.
        """
        config = self._calls.config
        if isinstance(message, ICRP) and config.accepts_calls:
            role = SessionRole.LNS_INCOMING
        elif isinstance(message, OCRP) and config.accepts_outgoing_calls:
            role = SessionRole.LAC_OUTGOING
        else:
            return False
        session = self._calls.add(role, CallParameters(), message.assigned_session_id, now)
        closure = _closure_for(session, message)
        session.step(_INPUTS[message.message_type], closure=closure)
        return True

    def receive_invalid(self, session_id: int, error: MessageError, now: float) -> bool:
        """Take a message of a session that could not be decoded: the session ends (§7.1)."""
        assigned = error.fields.get("assigned_session_id")
        session = self._calls.sessions.get(session_id)
        if error.message_type == MessageType.CDN:
            # It wants the session's end all the same, and a CDN is not answered with one.
            if session is None and not session_id and isinstance(assigned, int):
                session = self._calls.by_peer_id.get(assigned)
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
            session = self._calls.add(role, CallParameters(), assigned, now)
        session.step(SessionInput.INVALID_MESSAGE, closure=closure)
        return True

    def _receive_request(self, message: ICRQ | OCRQ, now: float) -> None:
        refusal = judge_request(
            message,
            self._calls.config,
            surplus=self._calls.surplus(),
            is_id_taken=message.assigned_session_id in self._calls.by_peer_id,
        )
        session = self._calls.add(
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

    def _lookup(self, session_id: int, message: ControlMessage) -> Session | None:
        if not session_id and isinstance(message, CDN):
            # Its sender may not know our id yet, so the AVP names the session (§4.4.4).
            return self._calls.by_peer_id.get(message.assigned_session_id)
        return self._calls.sessions.get(session_id)


def _closure_for(session: Session, message: ControlMessage) -> Closure:
    if isinstance(message, CDN):
        return hung_up_by_peer(message)
    text = f"{message.name} in state {session.state}"
    result = ResultCode(CallResult.GENERAL_ERROR, ErrorCode.VENDOR_SPECIFIC, text)
    section = "§7.5" if session.role.is_outgoing else "§7.4"
    return Closure(result, f"out of sequence: {text} ({cite(section)})")
