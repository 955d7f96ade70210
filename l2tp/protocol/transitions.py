"""The control connection's state table (RFC 2661 §7.2); the sessions' are in call_transitions.py.

One state is ours: a tunnel is `stopped` between its end and the end of its retention (§5.7), when
it only acknowledges.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from l2tp.protocol.statetable import Row, Table


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
    OVERRUN = "too many messages wait for the peer"
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
    Row((_S.ESTABLISHED,), (_I.OVERRUN,), _STOP, _S.STOPPED, "ours"),
    Row(_ALIVE, (_I.LOCAL_CLOSE,), _STOP, _S.STOPPED, "§7.2.1"),
    Row(_ALIVE, (_I.STOPCCN,), (_A.CLEAN_UP,), _S.STOPPED, "§7.2.1"),
    Row(_ALIVE, (_I.INVALID_MESSAGE,), _STOP, _S.STOPPED, "§7.1"),
    Row(_ALIVE, (_I.PEER_DEAD,), (_A.CLEAN_UP, _A.RELEASE), _S.IDLE, "§5.8"),
    Row((_S.STOPPED,), (*_RECEIVED, _I.LOCAL_CLOSE), (), None, "§5.7"),
    Row((_S.STOPPED,), (_I.PEER_DEAD, _I.RETENTION_OVER), (_A.RELEASE,), _S.IDLE, "§5.7"),
))
# fmt: on
"""The control connection (§7.2.1); where the RFC ends in idle, `stopped` still acknowledges."""
