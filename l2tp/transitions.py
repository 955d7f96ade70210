"""The state tables of RFC 2661 §7 as data: the code applies them, the documents draw them.

Two states are ours. A tunnel is `stopped` between its end and the end of its retention (§5.7),
when it only acknowledges. A session is in `wait-answer` between the ICRQ and the local decision
that the RFC folds into "acceptable".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from l2tp.errors import LocalProtocolError


class TunnelState(StrEnum):
    """States of a control connection (§7.2)."""

    IDLE = "idle"
    WAIT_CTL_REPLY = "wait-ctl-reply"
    WAIT_CTL_CONN = "wait-ctl-conn"
    ESTABLISHED = "established"
    STOPPED = "stopped"


class TunnelInput(StrEnum):
    """What can happen to a control connection; REFUSED is the RFC's "not acceptable"."""

    LOCAL_OPEN = "local open request"
    LOCAL_CALL = "local call request"
    LOCAL_CLOSE = "administrative close"
    SCCRQ = "receive SCCRQ, acceptable"
    SCCRQ_REFUSED = "receive SCCRQ, not acceptable"
    SCCRP = "receive SCCRP, acceptable"
    SCCRP_REFUSED = "receive SCCRP, not acceptable"
    SCCCN = "receive SCCCN, acceptable"
    SCCCN_REFUSED = "receive SCCCN, not acceptable"
    STOPCCN = "receive StopCCN"
    HELLO = "receive HELLO"
    CALL_MESSAGE = "receive a message of a session"
    INVALID_MESSAGE = "receive an invalid message"
    TIE_LOST = "lose the tie breaker"
    PEER_DEAD = "retransmissions exhausted"
    SETUP_TIMEOUT = "set-up takes too long"
    RETENTION_OVER = "retention is over"


class TunnelAction(StrEnum):
    """What a control connection does on the way to its next state."""

    SEND_SCCRQ = "send SCCRQ"
    SEND_SCCRP = "send SCCRP"
    SEND_SCCCN = "send SCCCN"
    SEND_STOPCCN = "send StopCCN"
    REPORT_OPEN = "report it open"
    OPEN_SESSIONS = "send tunnel-open to waiting sessions"
    PASS_TO_SESSION = "pass it to the session"
    CLEAN_UP = "clean up"
    RELEASE = "release"


class SessionRole(StrEnum):
    """Which table a session follows: who called, and which end we are (§7.4)."""

    LAC_INCOMING = "LAC, incoming call"
    LNS_INCOMING = "LNS, incoming call"


class SessionState(StrEnum):
    """States of a session (§7.4)."""

    IDLE = "idle"
    WAIT_TUNNEL = "wait-tunnel"
    WAIT_REPLY = "wait-reply"
    WAIT_ANSWER = "wait-answer"
    WAIT_CONNECT = "wait-connect"
    ESTABLISHED = "established"


class SessionInput(StrEnum):
    """What can happen to a session."""

    LOCAL_CALL = "local call request"
    LOCAL_ACCEPT = "local acceptance"
    LOCAL_CLOSE = "local close request"
    TUNNEL_OPEN = "tunnel-open"
    TUNNEL_CLOSED = "tunnel closed"
    ICRQ = "receive ICRQ, acceptable"
    REQUEST_REFUSED = "receive ICRQ or OCRQ, not acceptable"
    ICRP = "receive ICRP"
    ICCN = "receive ICCN"
    OCRQ = "receive OCRQ"
    OCRP = "receive OCRP"
    OCCN = "receive OCCN"
    CDN = "receive CDN"
    WEN = "receive WEN"
    SLI = "receive SLI"
    INVALID_MESSAGE = "receive an invalid message"
    SETUP_TIMEOUT = "set-up takes too long"


class SessionAction(StrEnum):
    """What a session does on the way to its next state."""

    SEND_ICRQ = "send ICRQ"
    SEND_ICRP = "send ICRP"
    SEND_ICCN = "send ICCN"
    SEND_CDN = "send CDN"
    REPORT_REQUEST = "report the request"
    REPORT_ANSWER = "report the answer"
    REPORT_OPEN = "report it open"
    CLEAN_UP = "clean up"


StateT = TypeVar("StateT", bound=StrEnum)
InputT = TypeVar("InputT", bound=StrEnum)
ActionT = TypeVar("ActionT", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Row(Generic[StateT, InputT, ActionT]):
    """One line of a table: in any of `states`, any of `inputs` does `actions`, then `next_state`.

    A `next_state` of None stays where it is; `section` is RFC 2661's, or "ours".
    """

    states: tuple[StateT, ...]
    inputs: tuple[InputT, ...]
    actions: tuple[ActionT, ...]
    next_state: StateT | None
    section: str


class Table(Generic[StateT, InputT, ActionT]):
    """Rows, looked up by state and input; a pair that stands in two rows is refused."""

    def __init__(self, name: str, rows: tuple[Row[StateT, InputT, ActionT], ...]) -> None:
        self.name = name
        self.rows = rows
        self._steps: dict[tuple[StateT, InputT], tuple[tuple[ActionT, ...], StateT]] = {}
        for row in rows:
            for state in row.states:
                for event in row.inputs:
                    if (state, event) in self._steps:
                        raise ValueError(f"{name}: {state} × {event} stands in two rows")
                    self._steps[state, event] = (row.actions, row.next_state or state)

    def step(self, state: StateT, event: InputT) -> tuple[tuple[ActionT, ...], StateT]:
        """The actions and the next state; LocalProtocolError where no row allows the input."""
        try:
            return self._steps[state, event]
        except KeyError:
            raise LocalProtocolError(
                f"{self.name}: «{event}» is not possible in state {state}", section="§7"
            ) from None

    def allows(self, state: StateT, event: InputT) -> bool:
        """Whether a row has this pair."""
        return (state, event) in self._steps


_S, _I, _A = TunnelState, TunnelInput, TunnelAction
_OPENING = (_S.WAIT_CTL_REPLY, _S.WAIT_CTL_CONN)
_ALIVE = (*_OPENING, _S.ESTABLISHED)
_STOP = (_A.SEND_STOPCCN, _A.CLEAN_UP)
_SCCRQ, _SCCRP = (_I.SCCRQ, _I.SCCRQ_REFUSED), (_I.SCCRP, _I.SCCRP_REFUSED)
_SCCCN = (_I.SCCCN, _I.SCCCN_REFUSED)
_OPENED = (_A.REPORT_OPEN, _A.OPEN_SESSIONS)
_RECEIVED = (
    *_SCCRQ, *_SCCRP, *_SCCCN, _I.STOPCCN, _I.HELLO, _I.CALL_MESSAGE, _I.INVALID_MESSAGE,
)  # fmt: skip

# fmt: off
TUNNEL_TABLE: Final = Table("tunnel", (
    Row((_S.IDLE,), (_I.LOCAL_OPEN,), (_A.SEND_SCCRQ,), _S.WAIT_CTL_REPLY, "§7.2.1"),
    Row((_S.IDLE,), (_I.SCCRQ,), (_A.SEND_SCCRP,), _S.WAIT_CTL_CONN, "§7.2.1"),
    Row((_S.IDLE,), (_I.SCCRQ_REFUSED, *_SCCRP), _STOP, _S.STOPPED, "§7.2.1"),
    Row((_S.IDLE,), (*_SCCCN, _I.STOPCCN), (_A.CLEAN_UP,), _S.STOPPED, "§7.2.1"),
    Row((_S.IDLE,), (_I.HELLO, _I.CALL_MESSAGE, _I.INVALID_MESSAGE), _STOP, _S.STOPPED, "§7.1"),
    Row((_S.WAIT_CTL_REPLY,), (_I.SCCRP,), (_A.SEND_SCCCN, *_OPENED), _S.ESTABLISHED, "§7.2.1"),
    Row((_S.WAIT_CTL_REPLY,), (_I.SCCRP_REFUSED,), _STOP, _S.STOPPED, "§7.2.1"),
    Row((_S.WAIT_CTL_REPLY,), (*_SCCCN, *_SCCRQ), _STOP, _S.STOPPED, "§7.2.1"),
    Row((_S.WAIT_CTL_REPLY,), (_I.TIE_LOST,), (_A.CLEAN_UP, _A.RELEASE), _S.IDLE, "§7.2.1"),
    Row((_S.WAIT_CTL_CONN,), (_I.SCCCN,), _OPENED, _S.ESTABLISHED, "§7.2.1"),
    Row((_S.WAIT_CTL_CONN,), (_I.SCCCN_REFUSED, *_SCCRP, *_SCCRQ), _STOP, _S.STOPPED, "§7.2.1"),
    Row(_OPENING, (_I.LOCAL_CALL, _I.HELLO), (), None, "ours"),
    Row(_OPENING, (_I.CALL_MESSAGE,), _STOP, _S.STOPPED, "§7.1"),
    Row(_OPENING, (_I.SETUP_TIMEOUT,), _STOP, _S.STOPPED, "§7.3"),
    Row((_S.ESTABLISHED,), (_I.LOCAL_CALL,), (_A.OPEN_SESSIONS,), None, "§7.2.1"),
    Row((_S.ESTABLISHED,), (*_SCCRQ, *_SCCRP, *_SCCCN), _STOP, _S.STOPPED, "§7.2.1"),
    Row((_S.ESTABLISHED,), (_I.CALL_MESSAGE,), (_A.PASS_TO_SESSION,), None, "§7.4"),
    Row((_S.ESTABLISHED,), (_I.HELLO,), (), None, "§5.5"),
    Row(_ALIVE, (_I.LOCAL_CLOSE,), _STOP, _S.STOPPED, "§7.2.1"),
    Row(_ALIVE, (_I.STOPCCN,), (_A.CLEAN_UP,), _S.STOPPED, "§7.2.1"),
    Row(_ALIVE, (_I.INVALID_MESSAGE,), _STOP, _S.STOPPED, "§7.1"),
    Row(_ALIVE, (_I.PEER_DEAD,), (_A.CLEAN_UP, _A.RELEASE), _S.IDLE, "§5.8"),
    Row((_S.STOPPED,), (*_RECEIVED, _I.LOCAL_CLOSE), (), None, "§5.7"),
    Row((_S.STOPPED,), (_I.PEER_DEAD, _I.RETENTION_OVER), (_A.RELEASE,), _S.IDLE, "§5.7"),
))
# fmt: on
"""The control connection (§7.2.1); where the RFC ends in idle, `stopped` still acknowledges."""

_s, _i, _a = SessionState, SessionInput, SessionAction
_HANG_UP = (_a.SEND_CDN, _a.CLEAN_UP)
_ENDED = (_a.CLEAN_UP,)
_OUTGOING = (_i.OCRQ, _i.OCRP, _i.OCCN)
_LINK = (_i.WEN, _i.SLI)
_LAC_UP = (_s.WAIT_REPLY, _s.ESTABLISHED)
_LNS_UP = (_s.WAIT_ANSWER, _s.WAIT_CONNECT, _s.ESTABLISHED)
_ANSWERED = (_a.REPORT_ANSWER, _a.SEND_ICCN, _a.REPORT_OPEN)
_INCOMING = (_i.ICRQ, _i.ICRP, _i.ICCN)
_REFUSED = (_i.REQUEST_REFUSED, _i.INVALID_MESSAGE)

# fmt: off
LAC_INCOMING_TABLE: Final = Table("session", (
    Row((_s.IDLE,), (_i.LOCAL_CALL,), (), _s.WAIT_TUNNEL, "§7.4.1"),
    Row((_s.IDLE,), (_i.ICCN, _i.ICRP, _i.CDN), _ENDED, _s.IDLE, "§7.4.1"),
    Row((_s.WAIT_TUNNEL,), (_i.LOCAL_CLOSE, _i.SETUP_TIMEOUT), _ENDED, _s.IDLE, "§7.4.1"),
    Row((_s.WAIT_TUNNEL,), (*_INCOMING, _i.CDN, *_REFUSED, *_OUTGOING, *_LINK), (), None, "ours"),
    Row((_s.WAIT_TUNNEL,), (_i.TUNNEL_OPEN,), (_a.SEND_ICRQ,), _s.WAIT_REPLY, "§7.4.1"),
    Row((_s.WAIT_REPLY,), (_i.ICRP,), _ANSWERED, _s.ESTABLISHED, "§7.4.1"),
    Row((_s.WAIT_REPLY,), (_i.ICRQ, *_REFUSED, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.1"),
    Row((_s.WAIT_REPLY,), (_i.ICCN,), _ENDED, _s.IDLE, "§7.4.1"),
    Row((_s.WAIT_REPLY,), (_i.SETUP_TIMEOUT,), _HANG_UP, _s.IDLE, "§7.3"),
    Row((_s.ESTABLISHED,), (*_INCOMING, *_REFUSED, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.1"),
    Row(_LAC_UP, (_i.CDN,), _ENDED, _s.IDLE, "§7.4.1"),
    Row(_LAC_UP, (_i.LOCAL_CLOSE,), _HANG_UP, _s.IDLE, "§7.4.1"),
    Row(_LAC_UP, _LINK, (), None, "§6.13"),
    Row((_s.WAIT_TUNNEL, *_LAC_UP), (_i.TUNNEL_CLOSED,), _ENDED, _s.IDLE, "§5.7"),
))
"""A LAC's incoming call (§7.4.1)."""

LNS_INCOMING_TABLE: Final = Table("session", (
    Row((_s.IDLE,), (_i.ICRQ,), (_a.REPORT_REQUEST,), _s.WAIT_ANSWER, "§7.4.2"),
    Row((_s.IDLE,), (*_REFUSED, _i.ICRP, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.2"),
    Row((_s.IDLE,), (_i.ICCN, _i.CDN), _ENDED, _s.IDLE, "§7.4.2"),
    Row((_s.WAIT_ANSWER,), (_i.LOCAL_ACCEPT,), (_a.SEND_ICRP,), _s.WAIT_CONNECT, "§7.4.2"),
    Row((_s.WAIT_ANSWER,), (_i.ICCN,), _HANG_UP, _s.IDLE, "ours"),
    Row((_s.WAIT_CONNECT,), (_i.ICCN,), (_a.REPORT_OPEN,), _s.ESTABLISHED, "§7.4.2"),
    Row((_s.WAIT_ANSWER, _s.WAIT_CONNECT), (_i.SETUP_TIMEOUT,), _HANG_UP, _s.IDLE, "§7.3"),
    Row((_s.ESTABLISHED,), (_i.ICCN,), _HANG_UP, _s.IDLE, "§7.4.2"),
    Row(_LNS_UP, (_i.ICRQ, _i.ICRP, *_REFUSED, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.2"),
    Row(_LNS_UP, (_i.CDN,), _ENDED, _s.IDLE, "§7.4.2"),
    Row(_LNS_UP, (_i.LOCAL_CLOSE,), _HANG_UP, _s.IDLE, "§7.4.2"),
    Row(_LNS_UP, _LINK, (), None, "§6.13"),
    Row(_LNS_UP, (_i.TUNNEL_CLOSED,), _ENDED, _s.IDLE, "§5.7"),
))
"""An LNS's incoming call (§7.4.2)."""
# fmt: on

SESSION_TABLES: Final[Mapping[SessionRole, Table[SessionState, SessionInput, SessionAction]]] = {
    SessionRole.LAC_INCOMING: LAC_INCOMING_TABLE,
    SessionRole.LNS_INCOMING: LNS_INCOMING_TABLE,
}
"""The table of each role."""
