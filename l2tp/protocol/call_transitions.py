"""The sessions' state tables (RFC 2661 §7.4, §7.5): one for each end of each direction of a call.

One state is ours: a session is in `wait-answer` between the peer's request and the local decision
that the RFC folds into "acceptable".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from l2tp.protocol.statetable import Row, Table


class SessionRole(StrEnum):
    """Which table a session follows: who called, and which end we are (§7.4, §7.5)."""

    LAC_INCOMING = "LAC, incoming call"
    LNS_INCOMING = "LNS, incoming call"
    LAC_OUTGOING = "LAC, outgoing call"
    LNS_OUTGOING = "LNS, outgoing call"

    @property
    def is_lns(self) -> bool:
        """Whether we are the LNS of the call."""
        return self in (SessionRole.LNS_INCOMING, SessionRole.LNS_OUTGOING)

    @property
    def is_outgoing(self) -> bool:
        """Whether the LNS asked for the call."""
        return self in (SessionRole.LAC_OUTGOING, SessionRole.LNS_OUTGOING)


class SessionState(StrEnum):
    """States of a session (§7.4, §7.5)."""

    IDLE = "idle"
    WAIT_TUNNEL = "wait-tunnel"
    WAIT_REPLY = "wait-reply"
    WAIT_ANSWER = "wait-answer"
    WAIT_CONNECT = "wait-connect"
    WAIT_CS_ANSWER = "wait-cs-answer"
    ESTABLISHED = "established"


class SessionInput(StrEnum):
    """What can happen to a session."""

    LOCAL_CALL = "local call request"
    LOCAL_ACCEPT = "local acceptance"
    LOCAL_CONNECT = "bearer answers"
    LOCAL_ERRORS = "local line errors"
    LOCAL_LINK_INFO = "local link information"
    LOCAL_CLOSE = "local close request"
    TUNNEL_OPEN = "tunnel-open"
    TUNNEL_CLOSED = "tunnel closed"
    ICRQ = "receive ICRQ, acceptable"
    REQUEST_REFUSED = "receive ICRQ or OCRQ, not acceptable"
    ICRP = "receive ICRP"
    ICCN = "receive ICCN"
    OCRQ = "receive OCRQ, acceptable"
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
    SEND_OCRQ = "send OCRQ"
    SEND_OCRP = "send OCRP"
    SEND_OCCN = "send OCCN"
    SEND_CDN = "send CDN"
    SEND_WEN = "send WEN"
    SEND_SLI = "send SLI"
    REPORT_REQUEST = "report the request"
    REPORT_ANSWER = "report the answer"
    REPORT_OPEN = "report it open"
    REPORT_ERRORS = "report the line errors"
    REPORT_LINK_INFO = "report the link information"
    CLEAN_UP = "clean up"


_s, _i, _a = SessionState, SessionInput, SessionAction
_HANG_UP = (_a.SEND_CDN, _a.CLEAN_UP)
_ENDED = (_a.CLEAN_UP,)
_INCOMING = (_i.ICRQ, _i.ICRP, _i.ICCN)
_OUTGOING = (_i.OCRQ, _i.OCRP, _i.OCCN)
_REFUSED = (_i.REQUEST_REFUSED, _i.INVALID_MESSAGE)
_CONNECTED = (_a.REPORT_ANSWER, _a.SEND_ICCN, _a.REPORT_OPEN)
_DIALLED = (_a.SEND_OCCN, _a.REPORT_OPEN)
_LNS_INCOMING = (_s.WAIT_ANSWER, _s.WAIT_CONNECT, _s.ESTABLISHED)
_LAC_OUTGOING = (_s.WAIT_ANSWER, _s.WAIT_CS_ANSWER, _s.ESTABLISHED)
_LNS_OUTGOING = (_s.WAIT_REPLY, _s.WAIT_CONNECT, _s.ESTABLISHED)
_FROM_PEER = (*_INCOMING, *_OUTGOING, *_REFUSED, _i.CDN, _i.WEN, _i.SLI)

_Row: TypeAlias = Row[SessionState, SessionInput, SessionAction]


def _waiting(section: str) -> tuple[_Row, ...]:
    """What a call does that waits for its tunnel; the peer knows nothing of it yet."""
    return (
        Row((_s.IDLE,), (_i.LOCAL_CALL,), (), _s.WAIT_TUNNEL, section),
        Row((_s.WAIT_TUNNEL,), (_i.LOCAL_CLOSE, _i.SETUP_TIMEOUT), _ENDED, _s.IDLE, section),
        Row((_s.WAIT_TUNNEL,), _FROM_PEER, (), None, "ours"),
        Row((_s.WAIT_TUNNEL,), (_i.TUNNEL_CLOSED,), _ENDED, _s.IDLE, "§5.7"),
    )


def _known(
    states: tuple[SessionState, ...], section: str, local: SessionInput, send: SessionAction
) -> tuple[_Row, ...]:
    """What every call does that the peer knows of, in any of these states, the last one open."""
    return (
        Row(states, (_i.CDN,), _ENDED, _s.IDLE, section),
        Row(states, (_i.LOCAL_CLOSE,), _HANG_UP, _s.IDLE, section),
        Row(states, (_i.TUNNEL_CLOSED,), _ENDED, _s.IDLE, "§5.7"),
        Row(states[:-1], (_i.SETUP_TIMEOUT,), _HANG_UP, _s.IDLE, "§7.3"),
        Row(states, (_i.WEN,), (_a.REPORT_ERRORS,), None, "§6.13"),
        Row(states, (_i.SLI,), (_a.REPORT_LINK_INFO,), None, "§6.14"),
        Row(states[-1:], (local,), (send,), None, "§6.13" if send is _a.SEND_WEN else "§6.14"),
    )


# fmt: off
LAC_INCOMING_TABLE: Final = Table("session", (
    *_waiting("§7.4.1"),
    Row((_s.IDLE,), (_i.ICCN, _i.ICRP, _i.CDN), _ENDED, _s.IDLE, "§7.4.1"),
    Row((_s.WAIT_TUNNEL,), (_i.TUNNEL_OPEN,), (_a.SEND_ICRQ,), _s.WAIT_REPLY, "§7.4.1"),
    Row((_s.WAIT_REPLY,), (_i.ICRP,), _CONNECTED, _s.ESTABLISHED, "§7.4.1"),
    Row((_s.WAIT_REPLY,), (_i.ICRQ, *_REFUSED, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.1"),
    Row((_s.WAIT_REPLY,), (_i.ICCN,), _ENDED, _s.IDLE, "§7.4.1"),
    Row((_s.ESTABLISHED,), (*_INCOMING, *_REFUSED, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.1"),
    *_known((_s.WAIT_REPLY, _s.ESTABLISHED), "§7.4.1", _i.LOCAL_ERRORS, _a.SEND_WEN),
))
"""A LAC's incoming call (§7.4.1)."""

LNS_INCOMING_TABLE: Final = Table("session", (
    Row((_s.IDLE,), (_i.ICRQ,), (_a.REPORT_REQUEST,), _s.WAIT_ANSWER, "§7.4.2"),
    Row((_s.IDLE,), (*_REFUSED, _i.ICRP, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.2"),
    Row((_s.IDLE,), (_i.ICCN, _i.CDN), _ENDED, _s.IDLE, "§7.4.2"),
    Row((_s.WAIT_ANSWER,), (_i.LOCAL_ACCEPT,), (_a.SEND_ICRP,), _s.WAIT_CONNECT, "§7.4.2"),
    Row((_s.WAIT_ANSWER,), (_i.ICCN,), _HANG_UP, _s.IDLE, "ours"),
    Row((_s.WAIT_CONNECT,), (_i.ICCN,), (_a.REPORT_OPEN,), _s.ESTABLISHED, "§7.4.2"),
    Row((_s.ESTABLISHED,), (_i.ICCN,), _HANG_UP, _s.IDLE, "§7.4.2"),
    Row(_LNS_INCOMING, (_i.ICRQ, _i.ICRP, *_REFUSED, *_OUTGOING), _HANG_UP, _s.IDLE, "§7.4.2"),
    *_known(_LNS_INCOMING, "§7.4.2", _i.LOCAL_LINK_INFO, _a.SEND_SLI),
))
"""An LNS's incoming call (§7.4.2)."""

LAC_OUTGOING_TABLE: Final = Table("session", (
    Row((_s.IDLE,), (_i.OCRQ,), (_a.REPORT_REQUEST,), _s.WAIT_ANSWER, "§7.5.1"),
    Row((_s.IDLE,), (*_REFUSED, _i.OCRP, *_INCOMING), _HANG_UP, _s.IDLE, "§7.5.1"),
    Row((_s.IDLE,), (_i.OCCN, _i.CDN), _ENDED, _s.IDLE, "§7.5.1"),
    Row((_s.WAIT_ANSWER,), (_i.LOCAL_ACCEPT,), (_a.SEND_OCRP,), _s.WAIT_CS_ANSWER, "§7.5.1"),
    Row((_s.WAIT_CS_ANSWER,), (_i.LOCAL_CONNECT,), _DIALLED, _s.ESTABLISHED, "§7.5.1"),
    Row(_LAC_OUTGOING, (*_OUTGOING, *_REFUSED, *_INCOMING), _HANG_UP, _s.IDLE, "§7.5.1"),
    *_known(_LAC_OUTGOING, "§7.5.1", _i.LOCAL_ERRORS, _a.SEND_WEN),
))
"""A LAC's outgoing call (§7.5.1)."""

LNS_OUTGOING_TABLE: Final = Table("session", (
    *_waiting("§7.5.2"),
    Row((_s.IDLE,), (_i.OCCN, _i.OCRP, _i.CDN), _ENDED, _s.IDLE, "§7.5.2"),
    Row((_s.WAIT_TUNNEL,), (_i.TUNNEL_OPEN,), (_a.SEND_OCRQ,), _s.WAIT_REPLY, "§7.5.2"),
    Row((_s.WAIT_REPLY,), (_i.OCRP,), (_a.REPORT_ANSWER,), _s.WAIT_CONNECT, "§7.5.2"),
    Row((_s.WAIT_REPLY,), (_i.OCCN, _i.OCRQ, *_REFUSED), _HANG_UP, _s.IDLE, "§7.5.2"),
    Row((_s.WAIT_CONNECT,), (_i.OCCN,), (_a.REPORT_OPEN,), _s.ESTABLISHED, "§7.5.2"),
    Row((_s.WAIT_CONNECT,), (_i.OCRQ, _i.OCRP, *_REFUSED), _HANG_UP, _s.IDLE, "§7.5.2"),
    Row((_s.ESTABLISHED,), (*_OUTGOING, *_REFUSED), _HANG_UP, _s.IDLE, "§7.5.2"),
    Row(_LNS_OUTGOING, _INCOMING, _HANG_UP, _s.IDLE, "§7.5.2"),
    *_known(_LNS_OUTGOING, "§7.5.2", _i.LOCAL_LINK_INFO, _a.SEND_SLI),
))
"""An LNS's outgoing call (§7.5.2)."""
# fmt: on

SESSION_TABLES: Final[Mapping[SessionRole, Table[SessionState, SessionInput, SessionAction]]] = {
    SessionRole.LAC_INCOMING: LAC_INCOMING_TABLE,
    SessionRole.LNS_INCOMING: LNS_INCOMING_TABLE,
    SessionRole.LAC_OUTGOING: LAC_OUTGOING_TABLE,
    SessionRole.LNS_OUTGOING: LNS_OUTGOING_TABLE,
}
"""The table of each role."""
