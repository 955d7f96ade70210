"""One control connection: applies its state table (RFC 2661 §7.2) and does what the table says."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from l2tp.protocol import causes
from l2tp.protocol.call_arrivals import CallArrivals
from l2tp.protocol.call_transitions import SessionInput
from l2tp.protocol.calls import Calls
from l2tp.protocol.causes import Closure
from l2tp.protocol.constants import (
    DEFAULT_RECEIVE_WINDOW,
    SESSION_MESSAGES,
    ErrorCode,
    MessageType,
    StopResult,
)
from l2tp.protocol.errors import LocalProtocolError, MessageError, ResultCode
from l2tp.protocol.events import Event
from l2tp.protocol.hiding import Authentication, Hider
from l2tp.protocol.judging import Judge
from l2tp.protocol.messages import (
    CSUN,
    CSURQ,
    HELLO,
    SCCRP,
    SCCRQ,
    ControlMessage,
    Greeting,
    StopCCN,
    UnknownMessage,
)
from l2tp.protocol.parameters import Address, CallParameters, EndpointConfig
from l2tp.protocol.transitions import TUNNEL_TABLE, TunnelAction, TunnelInput, TunnelState
from l2tp.protocol.transport import Transport
from l2tp.protocol.tunnel_actions import ACTIONS

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
        is_id_taken: Callable[[Tunnel, int], bool],
        now: float,
    ) -> None:
        self.config = config
        self.local_tunnel_id = local_tunnel_id
        self.initiated = initiated
        self.emit = emit
        self._sessions_of_peer = sessions_of_peer
        self._is_id_taken = is_id_taken
        self.superseded_by: int | None = None
        self.state = TunnelState.IDLE
        self.is_released = False
        self._received_data = received_data
        self._data_count = 0
        self.transport = Transport(
            config, local_tunnel_id=local_tunnel_id, peer=peer, emit=emit, now=now
        )
        self.authentication = Authentication(secret, random, challenges=config.challenges)
        self._judge = Judge(
            config,
            self.authentication,
            is_surplus=is_surplus,
            is_id_taken=lambda number: is_id_taken(self, number),
        )
        if secret is not None and config.hidden_avps:
            self.transport.hider = Hider(secret, config.hidden_avps, random)
        self.tie_breaker = (
            random.randbytes(TIE_BREAKER_SIZE) if initiated and config.single_tunnel else None
        )
        self.calls = Calls(self, random, next_serial)
        self._call_arrivals = CallArrivals(self.calls)
        self.greeting: Greeting | None = None
        self._setup_deadline: float | None = now + config.tunnel_setup_timeout_s
        self.release_at: float | None = None

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
        return self.authentication.secret

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
        self.superseded_by = winner
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
                return self._call_arrivals.receive(session_id, message, now)
            return True
        event = _INPUTS[message.message_type]
        closure = self._judge.refuses(message, self.state, self.peer)
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
            return self._call_arrivals.receive_invalid(session_id, error, now)
        assigned = error.fields.get("assigned_tunnel_id")
        if not self.peer_tunnel_id and isinstance(assigned, int):
            self._address(assigned)
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

    def end_if_overrun(self, now: float) -> None:
        """End an open tunnel whose peer asks for more than it acknowledges the answers of.

        Acknowledgements may not be withheld to slow it down (§5.8), so what waits would only grow.
        Two messages for each session are no such thing, whoever called.
        """
        limit = self.config.limits.maximum_waiting_messages
        waiting = self.transport.waiting
        if not limit or waiting <= limit or self.state is not TunnelState.ESTABLISHED:
            return
        if waiting > limit + 2 * len(self.calls.sessions):
            result = ResultCode(
                StopResult.GENERAL_ERROR,
                ErrorCode.INSUFFICIENT_RESOURCES,
                "too many messages wait for their acknowledgement",
            )
            closure = Closure(result, causes.overrun(self.peer, waiting))
            self._step(TunnelInput.OVERRUN, now, closure=closure)

    # Time.

    def get_timer(self) -> float | None:
        """When handle_timer() is due; None when nothing is pending."""
        hello = self.transport.hello_at if self.state is TunnelState.ESTABLISHED else None
        candidates = (
            self.transport.get_timer(),
            self.calls.get_timer(),
            self._setup_deadline,
            self.release_at,
            hello,
        )
        return min((at for at in candidates if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`, save sending."""
        silence = self.transport.handle_timer(now)
        if silence is not None:
            self._step(TunnelInput.PEER_DEAD, now, closure=Closure(None, causes.no_answer(silence)))
        if self.release_at is not None and self.release_at <= now:
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
            act = ACTIONS.get(action)
            if act is not None:
                act(self, closure, now)
        if self.state not in _OPENING:
            self._setup_deadline = None
        return actions

    def _learn(self, greeting: Greeting) -> None:
        if self.greeting is None:
            self.greeting = greeting
            self._address(greeting.assigned_tunnel_id)
            self.transport.set_peer_window(greeting.receive_window_size or DEFAULT_RECEIVE_WINDOW)

    def _address(self, peer_tunnel_id: int) -> None:
        # With the id of another tunnel in its header, a StopCCN would end that one at the peer.
        if not self._is_id_taken(self, peer_tunnel_id):
            self.transport.peer_tunnel_id = peer_tunnel_id

    def _out_of_sequence(self, message: ControlMessage) -> Closure:
        text = f"{message.name} in state {self.state}"
        result = ResultCode(StopResult.STATE_MACHINE_ERROR, 0, text)
        return Closure(result, f"out of sequence from {self.peer}: {text} (RFC 2661 §7.2.1)")
