"""A line's new speeds, told and asked for across the sessions of a tunnel (RFC 5515)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from l2tp.protocol.call_transitions import SessionState
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.messages import CSUN, CSURQ, ControlMessage
from l2tp.protocol.session import Session
from l2tp.protocol.values import ConnectSpeedUpdate


class ConnectSpeeds:
    """Sends CSUN and CSURQ for one tunnel's sessions, found by our id, and takes the peer's."""

    __slots__ = ("_send", "_sessions")

    def __init__(
        self, sessions: Mapping[int, Session], send: Callable[[ControlMessage], None]
    ) -> None:
        self._sessions = sessions
        self._send = send

    def update(self, session: Session, tx_bps: int, rx_bps: int) -> None:
        """Tell the LNS of a line's new speeds; LocalProtocolError where it was not promised."""
        enabled = session.call.connect_speed_update_enable and not session.role.is_lns
        if not enabled or not session.peer_session_id:
            raise LocalProtocolError(
                f"session {session.local_session_id} is no established call that was placed with"
                " connect_speed_update_enable",
                section="RFC 5515",
            )
        session.change_speed(tx_bps, rx_bps)
        self._tell((session,))

    def request(self, sessions: Iterable[Session]) -> None:
        """Ask the LAC for the speeds of its callers' lines."""
        ids = [session.peer_session_id or 0 for session in sessions]
        self._send(
            CSURQ(connect_speed_update=tuple(ConnectSpeedUpdate(number, 0, 0) for number in ids))
        )

    def receive(self, message: CSUN | CSURQ) -> None:
        """Take the LAC's new speeds, or tell the LNS those that it asks for."""
        # An id that comes twice counts once, so that a request costs no more than its answer.
        updates = {update.session_id: update for update in message.connect_speed_update}
        if isinstance(message, CSURQ):
            self._tell(session for session in self._enabled(updates) if not session.role.is_lns)
            return
        for session in self._enabled(updates):
            if session.role.is_lns:
                session.change_speed(*updates[session.local_session_id][1:])
                session.report_speed()

    def _enabled(self, ids: Iterable[int]) -> Iterator[Session]:
        for number in ids:
            session = self._sessions.get(number)
            if session is None or session.state is not SessionState.ESTABLISHED:
                continue
            # Only a LAC that said so in its ICRQ tells of speeds.
            if session.call.connect_speed_update_enable:
                yield session

    def _tell(self, sessions: Iterable[Session]) -> None:
        told = tuple(
            ConnectSpeedUpdate(session.peer_session_id or 0, *session.speeds_bps)
            for session in sessions
        )
        if told:
            self._send(CSUN(connect_speed_update=told))
