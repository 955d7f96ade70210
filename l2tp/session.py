"""One session: applies its state table (RFC 2661 §7.4) and does what the table says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from l2tp.causes import Closure
from l2tp.codec import encode_message
from l2tp.errors import ResultCode
from l2tp.events import CallAnswered, CallRequested, Event, SessionClosed, SessionEstablished
from l2tp.messages import CDN, ICCN, ICRP, ICRQ, OCRQ, ControlMessage
from l2tp.parameters import CallParameters
from l2tp.transitions import (
    SESSION_TABLES,
    SessionAction,
    SessionInput,
    SessionRole,
    SessionState,
)


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


class Session:
    """A call in one tunnel."""

    __slots__ = (
        "_host",
        "_table",
        "call",
        "call_serial_number",
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
        self.call_serial_number = call.call_serial_number or 0

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
        if isinstance(message, ICRP):
            self.peer_session_id = message.assigned_session_id
        elif isinstance(message, ICCN):
            self.call = _with_connection(self.call, message)
        for action in actions:
            _ACTIONS[action](self, closure)

    def allows(self, event: SessionInput) -> bool:
        """Whether the table has a row for this input in the present state."""
        return self._table.allows(self.state, event)

    def _send_icrq(self, _: Closure | None) -> None:
        self._send(_make_icrq(self.call, self.local_session_id))

    def _send_icrp(self, _: Closure | None) -> None:
        self._send(ICRP(assigned_session_id=self.local_session_id))

    def _send_iccn(self, _: Closure | None) -> None:
        self._send(_make_iccn(self.call))

    def _send_cdn(self, closure: Closure | None) -> None:
        result = closure.result if closure else None
        self._send(
            CDN(
                result_code=result or ResultCode(2, 0),
                assigned_session_id=self.local_session_id,
            )
        )

    def _report_request(self, _: Closure | None) -> None:
        self._host.emit(
            CallRequested(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_tunnel_id=self._host.peer_tunnel_id,
                peer_session_id=self.peer_session_id or 0,
                call_serial_number=self.call_serial_number,
                call=self.call,
            )
        )

    def _report_answer(self, _: Closure | None) -> None:
        self._host.emit(
            CallAnswered(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_tunnel_id=self._host.peer_tunnel_id,
                peer_session_id=self.peer_session_id or 0,
                call_serial_number=self.call_serial_number,
            )
        )

    def _report_open(self, _: Closure | None) -> None:
        self._host.set_up(self)
        self._host.emit(
            SessionEstablished(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_tunnel_id=self._host.peer_tunnel_id,
                peer_session_id=self.peer_session_id or 0,
                call_serial_number=self.call_serial_number,
                lns_mode=self.role is SessionRole.LNS_INCOMING,
                call=self.call,
            )
        )

    def _clean_up(self, closure: Closure | None) -> None:
        result = closure.result if closure else None
        self._host.emit(
            SessionClosed(
                local_tunnel_id=self._host.local_tunnel_id,
                local_session_id=self.local_session_id,
                peer_session_id=self.peer_session_id,
                result_code=result.result if result else None,
                error_code=result.error if result else None,
                message=result.message if result else "",
                cause=closure.cause if closure else "",
                by_peer=closure.by_peer if closure else False,
            )
        )
        self._host.forget(self)

    def _send(self, message: ControlMessage) -> None:
        self._host.send(message, self)


_ACTIONS: Final[dict[SessionAction, Callable[[Session, Closure | None], None]]] = {
    SessionAction.SEND_ICRQ: Session._send_icrq,
    SessionAction.SEND_ICRP: Session._send_icrp,
    SessionAction.SEND_ICCN: Session._send_iccn,
    SessionAction.SEND_CDN: Session._send_cdn,
    SessionAction.REPORT_REQUEST: Session._report_request,
    SessionAction.REPORT_ANSWER: Session._report_answer,
    SessionAction.REPORT_OPEN: Session._report_open,
    SessionAction.CLEAN_UP: Session._clean_up,
}


def call_from_request(message: ICRQ | OCRQ) -> CallParameters:
    """What a request says of the call; the speeds of an ICRQ follow with the ICCN."""
    if isinstance(message, OCRQ):
        return CallParameters(
            call_serial_number=message.call_serial_number,
            bearer_type=message.bearer_type,
            called_number=message.called_number,
            sub_address=message.sub_address,
            tx_connect_speed_bps=0,
            framing_type=message.framing_type,
        )
    return CallParameters(
        call_serial_number=message.call_serial_number,
        bearer_type=message.bearer_type,
        physical_channel_id=message.physical_channel_id,
        called_number=message.called_number,
        calling_number=message.calling_number,
        sub_address=message.sub_address,
        tx_connect_speed_bps=0,
        framing_type=0,
    )


def check_call(call: CallParameters) -> None:
    """Raise LocalProtocolError where the call fits into no ICRQ or ICCN."""
    encode_message(_make_icrq(call, 1))
    encode_message(_make_iccn(call))


def _make_icrq(call: CallParameters, local_session_id: int) -> ICRQ:
    return ICRQ(
        assigned_session_id=local_session_id,
        call_serial_number=call.call_serial_number or 0,
        bearer_type=call.bearer_type,
        called_number=call.called_number,
        calling_number=call.calling_number,
        sub_address=call.sub_address,
        physical_channel_id=call.physical_channel_id,
    )


def _make_iccn(call: CallParameters) -> ICCN:
    return ICCN(
        framing_type=call.framing_type,
        tx_connect_speed=call.tx_connect_speed_bps,
        rx_connect_speed=call.rx_connect_speed_bps,
        private_group_id=call.private_group_id,
        sequencing_required=call.sequencing_required,
        initial_received_lcp_confreq=call.initial_received_lcp_confreq,
        last_sent_lcp_confreq=call.last_sent_lcp_confreq,
        last_received_lcp_confreq=call.last_received_lcp_confreq,
        proxy_authen_type=call.proxy_authen_type,
        proxy_authen_name=call.proxy_authen_name,
        proxy_authen_challenge=call.proxy_authen_challenge,
        proxy_authen_id=call.proxy_authen_id,
        proxy_authen_response=call.proxy_authen_response,
    )


def _with_connection(call: CallParameters, message: ICCN) -> CallParameters:
    return replace(
        call,
        tx_connect_speed_bps=message.tx_connect_speed,
        rx_connect_speed_bps=message.rx_connect_speed,
        framing_type=message.framing_type,
        sequencing_required=message.sequencing_required,
        private_group_id=message.private_group_id,
        initial_received_lcp_confreq=message.initial_received_lcp_confreq,
        last_sent_lcp_confreq=message.last_sent_lcp_confreq,
        last_received_lcp_confreq=message.last_received_lcp_confreq,
        proxy_authen_type=message.proxy_authen_type,
        proxy_authen_name=message.proxy_authen_name,
        proxy_authen_challenge=message.proxy_authen_challenge,
        proxy_authen_id=message.proxy_authen_id,
        proxy_authen_response=message.proxy_authen_response,
    )
