"""One session: applies its state table (RFC 2661 §7.4, §7.5) and does what the table says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from l2tp.protocol.call_messages import absorb, build, make_connected, make_icrq, make_ocrq
from l2tp.protocol.call_transitions import (
    SESSION_TABLES,
    SessionAction,
    SessionInput,
    SessionRole,
    SessionState,
)
from l2tp.protocol.causes import Closure
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.events import (
    CallAnswered,
    CallErrorsReported,
    CallRequested,
    ConnectSpeedChanged,
    Event,
    LinkInfoReceived,
    SessionClosed,
    SessionEstablished,
)
from l2tp.protocol.messages import CDN, ICCN, ICRP, OCCN, OCRP, SLI, WEN, ControlMessage
from l2tp.protocol.parameters import CallParameters
from l2tp.protocol.snapshots import SessionInfo
from l2tp.protocol.values import Accm, CallErrors


class SessionHost(Protocol):
    """What a session needs of its tunnel."""

    @property
    def local_tunnel_id(self) -> int:
        """The tunnel's id on our side."""

    @property
    def peer_tunnel_id(self) -> int:
        """The tunnel's id on the peer's side."""

    def send(self, message: ControlMessage, session: Session) -> None:
        """Queue a message of this session."""

    def emit(self, event: Event) -> None:
        """Report an event."""

    def set_up(self, session: Session) -> None:
        """Note that a session's set-up is over."""

    def forget(self, session: Session) -> None:
        """Drop a session that is back in idle."""


class _Occasion(NamedTuple):
    """What made a session act: a message, received or to be sent, or the reason of its end."""

    message: ControlMessage | None
    closure: Closure | None


class Session:
    """A call in one tunnel, with what was reported of its line since."""

    __slots__ = (
        "_host",
        "_table",
        "accm",
        "call",
        "call_errors",
        "local_session_id",
        "peer_session_id",
        "role",
        "state",
    )

    def __init__(
        self,
        host: SessionHost,
        role: SessionRole,
        *,
        local_session_id: int,
        call: CallParameters,
        peer_session_id: int | None = None,
    ) -> None:
        self._host = host
        self._table = SESSION_TABLES[role]
        self.role = role
        self.state = SessionState.IDLE
        self.local_session_id = local_session_id
        self.peer_session_id = peer_session_id
        self.call = call
        self.call_errors: CallErrors | None = None
        self.accm: Accm | None = None

    @property
    def call_serial_number(self) -> int:
        """The number by which people at both ends name this call (uint32)."""
        return self.call.call_serial_number or 0

    def step(
        self,
        event: SessionInput,
        *,
        message: ControlMessage | None = None,
        closure: Closure | None = None,
    ) -> None:
        """Apply one input; `closure` is required where the table may clean up.

        Raises LocalProtocolError for a local input that the state does not allow.
        """
        actions, self.state = self._table.step(self.state, event)
        if message is not None:
            self._learn(message)
        occasion = _Occasion(message, closure)
        for action in actions:
            _ACTIONS[action](self, occasion)

    def allows(self, event: SessionInput) -> bool:
        """Whether the table has a row for this input in the present state."""
        return self._table.allows(self.state, event)

    def change_speed(self, tx_connect_speed_bps: int, rx_connect_speed_bps: int) -> None:
        """Note the line's new speeds, bit/s."""
        self.call = replace(
            self.call,
            tx_connect_speed_bps=tx_connect_speed_bps,
            rx_connect_speed_bps=rx_connect_speed_bps,
        )

    @property
    def speeds_bps(self) -> tuple[int, int]:
        """The line's speeds, to the caller and from it; one alone is that of both (§4.4.4)."""
        tx_bps, rx_bps = self.call.tx_connect_speed_bps, self.call.rx_connect_speed_bps
        return tx_bps, tx_bps if rx_bps is None else rx_bps

    def report_speed(self) -> None:
        """Say that the peer told us of new speeds (RFC 5515)."""
        tx_bps, rx_bps = self.speeds_bps
        self._host.emit(
            ConnectSpeedChanged(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                tx_connect_speed_bps=tx_bps,
                rx_connect_speed_bps=rx_bps,
            )
        )

    def describe(self) -> SessionInfo:
        """What is known of the session now."""
        return SessionInfo(
            local_session_id=self.local_session_id,
            peer_session_id=self.peer_session_id,
            role=self.role,
            state=self.state,
            call=self.call,
            call_errors=self.call_errors,
            accm=self.accm,
        )

    def _learn(self, message: ControlMessage) -> None:
        self.call = absorb(self.call, message)
        if isinstance(message, ICRP | OCRP):
            self.peer_session_id = message.assigned_session_id
        elif isinstance(message, WEN):
            self.call_errors = message.call_errors
        elif isinstance(message, SLI):
            self.accm = message.accm

    # The table's actions.

    def _send_icrq(self, _: _Occasion) -> None:
        self._host.send(make_icrq(self.call, self.local_session_id), self)

    def _send_icrp(self, _: _Occasion) -> None:
        self._host.send(ICRP(assigned_session_id=self.local_session_id), self)

    def _send_iccn(self, _: _Occasion) -> None:
        self._host.send(make_connected(ICCN, self.call), self)

    def _send_ocrq(self, _: _Occasion) -> None:
        self._host.send(make_ocrq(self.call, self.local_session_id), self)

    def _send_ocrp(self, _: _Occasion) -> None:
        self._host.send(build(OCRP, self.call, assigned_session_id=self.local_session_id), self)

    def _send_occn(self, _: _Occasion) -> None:
        self._host.send(make_connected(OCCN, self.call), self)

    def _send_given(self, occasion: _Occasion) -> None:
        if occasion.message is not None:
            self._host.send(occasion.message, self)

    def _send_cdn(self, occasion: _Occasion) -> None:
        closure = occasion.closure
        result = closure.result if closure else None
        self._host.send(
            CDN(
                result_code=result or ResultCode(2, 0),
                assigned_session_id=self.local_session_id,
                q931_cause_code=closure.q931_cause if closure else None,
                ppp_disconnect_cause_code=closure.disconnect_cause if closure else None,
            ),
            self,
        )

    def _report_request(self, _: _Occasion) -> None:
        self._host.emit(
            CallRequested(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_tunnel_id=self._host.peer_tunnel_id,
                peer_session_id=self.peer_session_id or 0,
                call_serial_number=self.call_serial_number,
                call=self.call,
                outgoing=self.role.is_outgoing,
            )
        )

    def _report_answer(self, _: _Occasion) -> None:
        self._host.emit(
            CallAnswered(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_tunnel_id=self._host.peer_tunnel_id,
                peer_session_id=self.peer_session_id or 0,
                call_serial_number=self.call_serial_number,
                outgoing=self.role.is_outgoing,
            )
        )

    def _report_open(self, _: _Occasion) -> None:
        self._host.set_up(self)
        self._host.emit(
            SessionEstablished(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_tunnel_id=self._host.peer_tunnel_id,
                peer_session_id=self.peer_session_id or 0,
                call_serial_number=self.call_serial_number,
                lns_mode=self.role.is_lns,
                call=self.call,
                outgoing=self.role.is_outgoing,
            )
        )

    def _report_errors(self, _: _Occasion) -> None:
        if self.call_errors is not None:
            self._host.emit(
                CallErrorsReported(
                    local_tunnel_id=self._host.local_tunnel_id,
                    local_session_id=self.local_session_id,
                    call_errors=self.call_errors,
                )
            )

    def _report_link_info(self, _: _Occasion) -> None:
        if self.accm is not None:
            self._host.emit(
                LinkInfoReceived(
                    local_tunnel_id=self._host.local_tunnel_id,
                    local_session_id=self.local_session_id,
                    accm=self.accm,
                )
            )

    def _clean_up(self, occasion: _Occasion) -> None:
        closure = occasion.closure or Closure(None, "")
        result = closure.result
        self._host.emit(
            SessionClosed(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_session_id=self.peer_session_id,
                result_code=result.result if result else None,
                error_code=result.error if result else None,
                message=result.message if result else "",
                cause=closure.cause,
                by_peer=closure.by_peer,
                q931_cause=closure.q931_cause,
                disconnect_cause=closure.disconnect_cause,
            )
        )
        self._host.forget(self)


_ACTIONS: Final[dict[SessionAction, Callable[[Session, _Occasion], None]]] = {
    SessionAction.SEND_ICRQ: Session._send_icrq,
    SessionAction.SEND_ICRP: Session._send_icrp,
    SessionAction.SEND_ICCN: Session._send_iccn,
    SessionAction.SEND_OCRQ: Session._send_ocrq,
    SessionAction.SEND_OCRP: Session._send_ocrp,
    SessionAction.SEND_OCCN: Session._send_occn,
    SessionAction.SEND_CDN: Session._send_cdn,
    SessionAction.SEND_WEN: Session._send_given,
    SessionAction.SEND_SLI: Session._send_given,
    SessionAction.REPORT_REQUEST: Session._report_request,
    SessionAction.REPORT_ANSWER: Session._report_answer,
    SessionAction.REPORT_OPEN: Session._report_open,
    SessionAction.REPORT_ERRORS: Session._report_errors,
    SessionAction.REPORT_LINK_INFO: Session._report_link_info,
    SessionAction.CLEAN_UP: Session._clean_up,
}
