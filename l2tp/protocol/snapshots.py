"""What an endpoint tells of its tunnels and sessions when it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from l2tp.protocol.call_transitions import SessionRole, SessionState
from l2tp.protocol.parameters import CallParameters
from l2tp.protocol.values import Accm, CallErrors


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session now: `peer_session_id` is None until it is known.

    `call_errors` is the newest WEN's, `accm` the newest SLI's, whoever sent it; `call` has the
    newest speeds (RFC 2661 §6.13, §6.14, RFC 5515).
    """

    local_session_id: int
    peer_session_id: int | None
    role: SessionRole
    state: SessionState
    call: CallParameters
    call_errors: CallErrors | None
    accm: Accm | None
