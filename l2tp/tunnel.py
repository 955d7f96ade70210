"""One control connection: applies its state table (RFC 2661 §7.2) and does what the table says."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from l2tp import causes
from l2tp.call_transitions import SessionInput
from l2tp.calls import Calls
from l2tp.causes import Closure
from l2tp.constants import (
    DEFAULT_RECEIVE_WINDOW,
    SESSION_MESSAGES,
    ErrorCode,
    MessageType,
    StopResult,
)
from l2tp.errors import LocalProtocolError, MessageError, ResultCode
from l2tp.events import Event, TunnelClosed, TunnelEstablished, TunnelReleased, TunnelRequested
from l2tp.greeting import judge_version, make_sccrp, make_sccrq, not_authorized
from l2tp.hiding import Authentication, Hider
from l2tp.messages import (
    CSUN,
    CSURQ,
    HELLO,
    SCCCN,
    SCCRP,
    SCCRQ,
    ControlMessage,
    Greeting,
    StopCCN,
    UnknownMessage,
)
from l2tp.parameters import Address, CallParameters, EndpointConfig
from l2tp.transitions import TUNNEL_TABLE, TunnelAction, TunnelInput, TunnelState
from l2tp.transport import Transport

_REFUSALS: Final = {
    TunnelInput.SCCRQ: TunnelInput.SCCRQ_REFUSED,
    TunnelInput.SCCRP: TunnelInput.SCCRP_REFUSED,
    TunnelInput.SCCCN: TunnelInput.SCCCN_REFUSED,
}
_INPUTS: Final = {
    MessageType.SCCRQ: TunnelInput.SCCRQ,
    MessageType.SCCRP: TunnelInput.SCCRP,
    MessageType.SCCCN: TunnelInput.SCCCN,
    MessageType.StopCCN: TunnelInput.STOPCCN,
    MessageType.HELLO: TunnelInput.HELLO,
}
TIE_BREAKER_SIZE: Final = 8
"""Octets of a Tie Breaker AVP's value (§4.4.3)."""

_OPENING: Final = (TunnelState.WAIT_CTL_REPLY, TunnelState.WAIT_CTL_CONN)


class Tunnel:
    """One tunnel, its sessions and its deadlines; `is_released` says that nothing is left of it.

    One that `is_surplus` exists only to refuse the peer's SCCRQ.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        local_tunnel_id: int,
        peer: Address,
        initiated: bool,
        is_surplus: bool,
        secret: bytes | None,
        random: Random,
        next_serial: Callable[[], int],
        received_data: Callable[[int], int] | None,
        emit: Callable[[Event], None],
        sessions_of_peer: Callable[[Address], int],
        now: float,
    ) -> None:
        self.config = config
        self.local_tunnel_id = local_tunnel_id
        self.initiated = initiated
        self.emit = emit
        self._is_surplus = is_surplus
        self._sessions_of_peer = sessions_of_peer
        self._superseded_by: int | None = None
        self.state = TunnelState.IDLE
        self.is_released = False
        self._received_data = received_data
        self._data_count = 0
        self.transport = Transport(
            config, local_tunnel_id=local_tunnel_id, peer=peer, emit=emit, now=now
        )
        self._authentication = Authentication(secret, random, challenges=config.challenges)
        if secret is not None and config.hidden_avps:
            self.transport.hider = Hider(secret, config.hidden_avps, random)
        self.tie_breaker = (
            random.randbytes(TIE_BREAKER_SIZE) if initiated and config.single_tunnel else None
        )
        self.calls = Calls(self, random, next_serial)
        self.greeting: Greeting | None = None
        self._setup_deadline: float | None = now + config.tunnel_setup_timeout_s
        self._release_at: float | None = None

    @property
    def peer(self) -> Address:
        """Where the peer is, as far as is known."""
        return self.transport.peer

    @property
    def peer_tunnel_id(self) -> int:
        """The tunnel's id on the peer's side, 0 while unknown."""
        return self.transport.peer_tunnel_id

    @property
    def secret(self) -> bytes | None:
        """What this tunnel's ends share; reveals hidden AVPs."""
        return self._authentication.secret

    # What the endpoint's user asks for.

    def open(self, now: float) -> None:
        """Send the SCCRQ."""
        self._step(TunnelInput.LOCAL_OPEN, now)

    def close(self, result: ResultCode, now: float) -> None:
        """Send a StopCCN, unless the tunnel is closed already."""
        cause = f"closed here with {result.describe(of_call=False)}"
        self._step(TunnelInput.LOCAL_CLOSE, now, closure=Closure(result, cause))

    def lose_tie(self, winner: int | None, now: float) -> None:
        """Discard a tunnel whose SCCRQ lost against the peer's, without a word to the peer."""
        fate = "the peer's remains" if winner else "both Tie Breakers are equal, so neither remains"
        cause = f"{self.peer} asked for a tunnel at the same moment: {fate} (RFC 2661 §4.4.3)"
        self._superseded_by = winner
        self._step(TunnelInput.TIE_LOST, now, closure=Closure(None, cause))

    def place_call(self, call: CallParameters, now: float, *, outgoing: bool) -> int:
        """Make an incoming or outgoing call, sent as soon as the tunnel is open."""
        # Ask the table first: a closed tunnel takes no call, and must not get a session.
        TUNNEL_TABLE.step(self.state, TunnelInput.LOCAL_CALL)
        session = self.calls.place(call, now, outgoing=outgoing)
        self._step(TunnelInput.LOCAL_CALL, now)
        return session.local_session_id

    def step_session(
        self,
        local_session_id: int,
        event: SessionInput,
        message: ControlMessage | None = None,
    ) -> None:
        """Give a session what its user wants of it; LocalProtocolError where it cannot be."""
        self.calls.find(local_session_id).step(event, message=message)

    def hang_up(self, local_session_id: int, closure: Closure) -> None:
        """Send a CDN, unless the session is gone."""
        session = self.calls.sessions.get(local_session_id)
        if session is not None:
            session.step(SessionInput.LOCAL_CLOSE, closure=closure)

    def say_hello(self) -> None:
        """Send a HELLO."""
        if self.state is not TunnelState.ESTABLISHED:
            raise LocalProtocolError(
                f"tunnel {self.local_tunnel_id} is {self.state}: only an established one says"
                " HELLO",
                section="§6.5",
            )
        self.transport.send(HELLO())

    # What the peer sends.

    def receive(self, message: ControlMessage, session_id: int, now: float) -> bool:
        """Take a decoded message in its turn; false when it is for a session that is gone."""
        if isinstance(message, UnknownMessage):
            return True
        if message.message_type in SESSION_MESSAGES or isinstance(message, CSUN | CSURQ):
            actions = self._step(
                TunnelInput.CALL_MESSAGE, now, closure=self._out_of_sequence(message)
            )
            if TunnelAction.PASS_TO_SESSION in actions:
                return self.calls.receive(session_id, message, now)
            return True
        event = _INPUTS[message.message_type]
        closure = self._judge(message)
        if closure is not None:
            event = _REFUSALS[event]
        elif isinstance(message, StopCCN):
            said = causes.stopped_by_peer(self.peer, message.result_code)
            closure = Closure(message.result_code, said, by_peer=True)
        else:
            closure = self._out_of_sequence(message)
        self._step(event, now, message=message, closure=closure)
        return True

    def receive_invalid(self, error: MessageError, session_id: int, now: float) -> bool:
        """Take a message that could not be decoded: the session or the tunnel ends (§7.1)."""
        if error.message_type in SESSION_MESSAGES and self.state is TunnelState.ESTABLISHED:
            return self.calls.receive_invalid(session_id, error, now)
        assigned = error.fields.get("assigned_tunnel_id")
        if not self.peer_tunnel_id and isinstance(assigned, int):
            self.transport.peer_tunnel_id = assigned
        if error.message_type == MessageType.StopCCN:
            # It wants the tunnel's end all the same, and a StopCCN is not answered with one.
            said = error.fields.get("result_code")
            result = said if isinstance(said, ResultCode) else ResultCode(StopResult.CLEAR_REQUEST)
            cause = f"{causes.stopped_by_peer(self.peer, result)}; its message is invalid: {error}"
            self._step(TunnelInput.STOPCCN, now, closure=Closure(result, cause, by_peer=True))
            return True
        closure = Closure(error.result, f"invalid message from {self.peer}: {error}")
        self._step(TunnelInput.INVALID_MESSAGE, now, closure=closure)
        return True

    # Time.

    def get_timer(self) -> float | None:
        """When handle_timer() is due; None when nothing is pending."""
        hello = self.transport.hello_at if self.state is TunnelState.ESTABLISHED else None
        candidates = (
            self.transport.get_timer(),
            self.calls.get_timer(),
            self._setup_deadline,
            self._release_at,
            hello,
        )
        return min((at for at in candidates if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`, save sending."""
        silence = self.transport.handle_timer(now)
        if silence is not None:
            self._step(TunnelInput.PEER_DEAD, now, closure=Closure(None, causes.no_answer(silence)))
        if self._release_at is not None and self._release_at <= now:
            self._step(TunnelInput.RETENTION_OVER, now)
        if self._setup_deadline is not None and self._setup_deadline <= now:
            timeout_s = self.config.tunnel_setup_timeout_s
            cause = causes.set_up_too_slow(self.peer, self.state, timeout_s)
            result = ResultCode(
                StopResult.GENERAL_ERROR, ErrorCode.VENDOR_SPECIFIC, "set-up timeout"
            )
            self._step(TunnelInput.SETUP_TIMEOUT, now, closure=Closure(result, cause))
        hello_at = self.transport.hello_at
        if self.state is TunnelState.ESTABLISHED and hello_at is not None and hello_at <= now:
            if self._has_new_data():
                self.transport.note_heard(now)
            else:
                # A keep-alive after silence of control and data; reliable delivery finds out
                # whether the peer lives (§5.5).
                self.transport.send(HELLO())
        self.calls.handle_timer(now)

    def _has_new_data(self) -> bool:
        if self._received_data is None:
            return False
        previous, self._data_count = self._data_count, self._received_data(self.local_tunnel_id)
        return self._data_count != previous

    # What the sessions need.

    def count_sessions_of_peer(self) -> int:
        """How many sessions all tunnels with this peer's host have."""
        return self._sessions_of_peer(self.peer)

    def send_for_session(
        self, message: ControlMessage, *, local_session_id: int, peer_session_id: int
    ) -> None:
        """Queue a message of a session."""
        self.transport.send(
            message, local_session_id=local_session_id, peer_session_id=peer_session_id
        )

    # The table's actions.

    def _step(
        self,
        event: TunnelInput,
        now: float,
        *,
        message: ControlMessage | None = None,
        closure: Closure | None = None,
    ) -> tuple[TunnelAction, ...]:
        actions, self.state = TUNNEL_TABLE.step(self.state, event)
        if isinstance(message, SCCRQ | SCCRP):
            self._learn(message)
        for action in actions:
            handler = _ACTIONS.get(action)
            if handler is not None:
                handler(self, closure, now)
        if self.state not in _OPENING:
            self._setup_deadline = None
        return actions

    def _send_sccrq(self, _: Closure | None, now: float) -> None:
        challenge = self._authentication.challenge
        self.transport.send(
            make_sccrq(self.config, self.local_tunnel_id, challenge, self.tie_breaker)
        )

    def _send_sccrp(self, _: Closure | None, now: float) -> None:
        greeting = self.greeting
        if greeting is None:
            return
        self.emit(
            TunnelRequested(
                local_tunnel_id=self.local_tunnel_id,
                peer_tunnel_id=self.peer_tunnel_id,
                peer=self.peer,
                peer_host_name=greeting.host_name,
                peer_vendor_name=greeting.vendor_name,
            )
        )
        authentication = self._authentication
        response = authentication.respond(MessageType.SCCRP, greeting.challenge)
        self.transport.send(
            make_sccrp(self.config, self.local_tunnel_id, authentication.challenge, response)
        )

    def _send_scccn(self, _: Closure | None, now: float) -> None:
        challenge = self.greeting.challenge if self.greeting else None
        response = self._authentication.respond(MessageType.SCCCN, challenge)
        self.transport.send(SCCCN(challenge_response=response))

    def _send_stopccn(self, closure: Closure | None, now: float) -> None:
        result = closure.result if closure else None
        # What never left would only delay the StopCCN, and nobody wants it any more.
        self.transport.drop_unsent()
        self.transport.send(
            StopCCN(
                result_code=result or ResultCode(StopResult.CLEAR_REQUEST),
                assigned_tunnel_id=self.local_tunnel_id,
            )
        )

    def _report_open(self, _: Closure | None, now: float) -> None:
        greeting = self.greeting
        if greeting is None:
            return
        self.emit(
            TunnelEstablished(
                local_tunnel_id=self.local_tunnel_id,
                peer_tunnel_id=self.peer_tunnel_id,
                peer=self.peer,
                peer_host_name=greeting.host_name,
                peer_vendor_name=greeting.vendor_name,
                peer_firmware_revision=greeting.firmware_revision,
                peer_framing_capabilities=greeting.framing_capabilities,
                peer_bearer_capabilities=greeting.bearer_capabilities,
                peer_receive_window_size=greeting.receive_window_size or DEFAULT_RECEIVE_WINDOW,
                initiated=self.initiated,
                authenticated=self._authentication.is_required,
            )
        )

    def _open_sessions(self, _: Closure | None, now: float) -> None:
        self.calls.open_waiting()

    def _clean_up(self, closure: Closure | None, now: float) -> None:
        result = closure.result if closure else None
        cause = closure.cause if closure else ""
        by_peer = closure.by_peer if closure else False
        if by_peer:
            self.transport.stop_sending()
        self.calls.close_all(Closure(None, f"the tunnel ended: {cause}", by_peer))
        self._release_at = now + self.config.retention_period_s()
        self.emit(
            TunnelClosed(
                local_tunnel_id=self.local_tunnel_id,
                peer_tunnel_id=self.peer_tunnel_id or None,
                peer=self.peer,
                peer_host_name=self.greeting.host_name if self.greeting else None,
                result_code=result.result if result else None,
                error_code=result.error if result else None,
                message=result.message if result else "",
                cause=cause,
                by_peer=by_peer,
                superseded_by=self._superseded_by,
            )
        )

    def _release(self, _: Closure | None, now: float) -> None:
        self._release_at = None
        self.is_released = True
        self.emit(TunnelReleased(local_tunnel_id=self.local_tunnel_id))

    # What makes a message acceptable.

    def _learn(self, greeting: Greeting) -> None:
        if self.greeting is None:
            self.greeting = greeting
            self.transport.peer_tunnel_id = greeting.assigned_tunnel_id
            self.transport.set_peer_window(greeting.receive_window_size or DEFAULT_RECEIVE_WINDOW)

    def _judge(self, message: ControlMessage) -> Closure | None:
        """Why a message is not acceptable; None when it is, or when that is no question."""
        if isinstance(message, SCCRQ | SCCRP):
            result = self._judge_greeting(message)
        elif isinstance(message, SCCCN):
            fault = self._authentication.find_fault(
                MessageType.SCCCN, response=message.challenge_response
            )
            result = not_authorized(fault) if fault else None
        else:
            return None
        if result is None:
            return None
        return Closure(result, causes.refused(self.peer, message.name, result))

    def _judge_greeting(self, message: Greeting) -> ResultCode | None:
        refusal = judge_version(message)
        if refusal is not None:
            return refusal
        if isinstance(message, SCCRQ):
            if self.state is not TunnelState.IDLE:
                return None
            if not self.config.accepts_tunnels:
                return not_authorized("this end accepts no tunnels")
            if self._is_surplus:
                return ResultCode(
                    StopResult.GENERAL_ERROR, ErrorCode.INSUFFICIENT_RESOURCES, "too many tunnels"
                )
        elif self.state is not TunnelState.WAIT_CTL_REPLY:
            return None
        response = message.challenge_response if isinstance(message, SCCRP) else None
        fault = self._authentication.find_fault(
            message.message_type, response=response, challenge=message.challenge
        )
        return not_authorized(fault) if fault else None

    def _out_of_sequence(self, message: ControlMessage) -> Closure:
        text = f"{message.name} in state {self.state}"
        result = ResultCode(StopResult.STATE_MACHINE_ERROR, 0, text)
        return Closure(result, f"out of sequence from {self.peer}: {text} (RFC 2661 §7.2.1)")


_ACTIONS: Final[dict[TunnelAction, Callable[[Tunnel, Closure | None, float], None]]] = {
    TunnelAction.SEND_SCCRQ: Tunnel._send_sccrq,
    TunnelAction.SEND_SCCRP: Tunnel._send_sccrp,
    TunnelAction.SEND_SCCCN: Tunnel._send_scccn,
    TunnelAction.SEND_STOPCCN: Tunnel._send_stopccn,
    TunnelAction.REPORT_OPEN: Tunnel._report_open,
    TunnelAction.OPEN_SESSIONS: Tunnel._open_sessions,
    TunnelAction.CLEAN_UP: Tunnel._clean_up,
    TunnelAction.RELEASE: Tunnel._release,
}
