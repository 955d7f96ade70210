"""The sans-IO front of the protocol core: datagrams, calls and time in; datagrams, events out.

No method reads a clock or a socket: `now` is always seconds of one monotonic clock. After every
call drain `next_event()`, then send `datagrams_to_send()`, then arm one timer for `get_timer()`.
Events come first because sending a SCCRP or an ICCN needs the sockets that the events ask for.
"""

from __future__ import annotations

import random as random_module
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

from l2tp.call_transitions import SessionInput, SessionState
from l2tp.calls import choose_id
from l2tp.causes import Closure
from l2tp.codec import decode_message, encode_message, peek_host_name, peek_message_type
from l2tp.constants import MessageType
from l2tp.deadlines import Deadlines
from l2tp.errors import (
    HANG_UP,
    SHUTDOWN,
    HeaderError,
    LocalProtocolError,
    MessageError,
    ResultCode,
)
from l2tp.events import DatagramDropped, DropReason, Event, TunnelClosed, TunnelEstablished
from l2tp.greeting import Tie, check_config, settle_tie
from l2tp.header import CONTROL_HEADER_SIZE, ControlHeader, DataHeader, decode_header
from l2tp.limits import Census, Throttle, network_of
from l2tp.messages import OCCN, SLI, WEN, ControlMessage
from l2tp.parameters import Address, CallParameters, Datagram, EndpointConfig
from l2tp.snapshots import SessionInfo
from l2tp.transitions import TunnelState
from l2tp.tunnel import Tunnel
from l2tp.values import Accm, CallErrors, DisconnectCause, Q931Cause

__all__ = [
    "HANG_UP",
    "SHUTDOWN",
    "Address",
    "CallParameters",
    "Datagram",
    "Endpoint",
    "EndpointConfig",
    "ResultCode",
]

_REQUEST_FIELDS = ("assigned_tunnel_id", "tie_breaker")


class Endpoint:
    """Every tunnel of one LAC or LNS, in both roles (RFC 2661 §5).

    `dropped` counts the datagrams that were not used, by reason. `received_data` says how many
    data messages of a tunnel (its local id) have come in so far: a number that only the data plane
    knows and that only has to change when more came. It is asked when a HELLO would be due, which
    then is put off if there was data (RFC 2661 §5.5). Raises LocalProtocolError where the
    configuration fits into no SCCRQ.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        random: random_module.Random,
        received_data: Callable[[int], int] | None = None,
    ) -> None:
        check_config(config)
        self.config = config
        self.dropped: Counter[DropReason] = Counter()
        self._random = random
        self._received_data = received_data
        self._serial = random.getrandbits(32)
        self._tunnels: dict[int, Tunnel] = {}
        self._census = Census()
        self._throttle = Throttle()
        # Those whose SCCRQ is not answered yet.
        self._asking: dict[int, Tunnel] = {}
        self._by_peer: dict[tuple[Address, int], Tunnel] = {}
        self._events: deque[Event] = deque()
        self._datagrams: list[Datagram] = []
        self._deadlines: Deadlines[int] = Deadlines()

    # What the user asks for.

    def open_tunnel(self, peer: Address, now: float, *, secret: bytes | None = None) -> int:
        """Open a control connection to `peer` with a SCCRQ; returns the local tunnel id.

        `secret` overrides the configuration's. Raises LocalProtocolError at the limit of tunnels.
        """
        if self._census.open >= self.config.maximum_tunnels:
            raise LocalProtocolError(
                f"there are {self._census.open} tunnels, the limit:"
                " raise maximum_tunnels, or close one",
                section="§7.2.1",
            )
        tunnel = self._add_tunnel(
            peer, now, initiated=True, secret=self.config.secret if secret is None else secret
        )
        tunnel.open(now)
        self._settle(tunnel, now)
        return tunnel.local_tunnel_id

    def close_tunnel(self, local_tunnel_id: int, now: float, result: ResultCode = SHUTDOWN) -> None:
        """Send a StopCCN, which ends every session too; a tunnel already gone stays gone."""
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is not None:
            tunnel.close(result, now)
            self._settle(tunnel, now)

    def place_call(self, local_tunnel_id: int, now: float, call: CallParameters) -> int:
        """As LAC, offer an incoming call (ICRQ, once the tunnel is up); returns its id.

        CallAnswered and SessionEstablished follow, or SessionClosed. Raises LocalProtocolError
        for an unknown or closed tunnel, or at the limit of sessions. Either end may have opened
        the tunnel.
        """
        return self._place(local_tunnel_id, now, call, outgoing=False)

    def request_call(self, local_tunnel_id: int, now: float, call: CallParameters) -> int:
        """As LNS, ask the LAC to dial `call.called_number` (OCRQ, once the tunnel is up).

        Returns the session's id. CallAnswered (`outgoing`) says that the LAC dials,
        SessionEstablished that the called party answered (OCCN); the call's speeds are the line's
        then. SessionClosed says that it came to nothing, also where the peer's Bearer
        Capabilities exclude the call (RFC 2661 §4.4.3). Raises as place_call.
        """
        return self._place(local_tunnel_id, now, call, outgoing=True)

    def _place(
        self, local_tunnel_id: int, now: float, call: CallParameters, *, outgoing: bool
    ) -> int:
        tunnel = self._find(local_tunnel_id)
        local_session_id = tunnel.place_call(call, now, outgoing=outgoing)
        self._settle(tunnel, now)
        return local_session_id

    def accept_call(self, local_tunnel_id: int, local_session_id: int, now: float) -> None:
        """Take the call that CallRequested reported (ICRP, or OCRP for an outgoing one).

        An outgoing one needs connect_call next. Raises LocalProtocolError when that call is not,
        or no longer, awaiting it.
        """
        self._step_session(local_tunnel_id, local_session_id, now, SessionInput.LOCAL_ACCEPT)

    def connect_call(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        now: float,
        *,
        tx_connect_speed_bps: int,
        rx_connect_speed_bps: int | None = None,
        framing_type: int | None = None,
        sequencing_required: bool = False,
    ) -> None:
        """As LAC, say that an outgoing call's called party answered (OCCN); it is up then.

        Speeds are bit/s (uint32), `framing_type` of None is the one asked for. Raises
        LocalProtocolError when that call was not accepted, or is up already.
        """
        self._step_session(
            local_tunnel_id,
            local_session_id,
            now,
            SessionInput.LOCAL_CONNECT,
            OCCN(
                framing_type=self._framing(local_tunnel_id, local_session_id, framing_type),
                tx_connect_speed=tx_connect_speed_bps,
                rx_connect_speed=rx_connect_speed_bps,
                sequencing_required=sequencing_required,
            ),
        )

    def reject_call(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        now: float,
        result: ResultCode,
        *,
        q931_cause: Q931Cause | None = None,
    ) -> None:
        """Refuse the call that CallRequested reported (CDN).

        Raises LocalProtocolError when that call is not, or no longer, awaiting it.
        """
        tunnel = self._find(local_tunnel_id)
        if tunnel.calls.find(local_session_id).state is not SessionState.WAIT_ANSWER:
            raise LocalProtocolError(
                f"session {local_session_id} was answered already: use hang_up", section="§7.4.2"
            )
        self.hang_up(local_tunnel_id, local_session_id, now, result, q931_cause=q931_cause)

    def hang_up(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        now: float,
        result: ResultCode = HANG_UP,
        *,
        q931_cause: Q931Cause | None = None,
        disconnect_cause: DisconnectCause | None = None,
    ) -> None:
        """End a session with a CDN; one already gone stays gone.

        As a LAC of an outgoing call, say with `result` that nobody answered (NO_CARRIER, BUSY, …).
        `q931_cause` says what the line said (RFC 2661 §4.4.4), `disconnect_cause` why PPP ended
        (RFC 3145); both are for the peer's logs.
        """
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is not None:
            closure = Closure(
                result,
                f"hung up here with {result.describe(of_call=True)}",
                q931_cause=q931_cause,
                disconnect_cause=disconnect_cause,
            )
            tunnel.hang_up(local_session_id, closure)
            self._settle(tunnel, now)

    def reconfigure(self, config: EndpointConfig) -> None:
        """Meet new tunnels with this configuration; those that exist keep theirs.

        Raises LocalProtocolError, as the constructor does, and then changes nothing.
        """
        check_config(config)
        self.config = config

    # What is known of a session's line.

    def report_errors(
        self, local_tunnel_id: int, local_session_id: int, now: float, errors: CallErrors
    ) -> None:
        """As LAC, tell the LNS of errors on an established call's line (WEN, RFC 2661 §6.13).

        The peer's endpoint reports CallErrorsReported. Raises LocalProtocolError otherwise.
        """
        self._step_session(
            local_tunnel_id,
            local_session_id,
            now,
            SessionInput.LOCAL_ERRORS,
            WEN(call_errors=errors),
        )

    def set_link_info(
        self, local_tunnel_id: int, local_session_id: int, now: float, accm: Accm
    ) -> None:
        """As LNS, tell the LAC of an established call's negotiated ACCMs (SLI, RFC 2661 §6.14).

        The peer's endpoint reports LinkInfoReceived. Raises LocalProtocolError otherwise.
        """
        self._step_session(
            local_tunnel_id,
            local_session_id,
            now,
            SessionInput.LOCAL_LINK_INFO,
            SLI(accm=accm),
        )

    def update_connect_speed(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        now: float,
        *,
        tx_connect_speed_bps: int,
        rx_connect_speed_bps: int,
    ) -> None:
        """As LAC, tell the LNS of a line's new speeds in bit/s (uint32; CSUN, RFC 5515).

        The peer's endpoint reports ConnectSpeedChanged. Raises LocalProtocolError unless the call
        was placed with `connect_speed_update_enable` and has been answered.
        """
        tunnel = self._find(local_tunnel_id)
        tunnel.calls.update_speed(local_session_id, tx_connect_speed_bps, rx_connect_speed_bps)
        self._settle(tunnel, now)

    def request_connect_speeds(
        self, local_tunnel_id: int, local_session_ids: Iterable[int], now: float
    ) -> None:
        """As LNS, ask for the speeds of these calls' lines (CSURQ, RFC 5515).

        ConnectSpeedChanged reports what the LAC answers. Raises LocalProtocolError for an unknown
        tunnel or session.
        """
        tunnel = self._find(local_tunnel_id)
        tunnel.calls.request_speeds(local_session_ids)
        self._settle(tunnel, now)

    def describe_session(self, local_tunnel_id: int, local_session_id: int) -> SessionInfo | None:
        """What is known of a session now; None where there is none."""
        tunnel = self._tunnels.get(local_tunnel_id)
        session = tunnel.calls.sessions.get(local_session_id) if tunnel else None
        return session.describe() if session else None

    def _framing(self, local_tunnel_id: int, local_session_id: int, wanted: int | None) -> int:
        asked = self._find(local_tunnel_id).calls.find(local_session_id).call.framing_type
        return (asked or 0) if wanted is None else wanted

    def _step_session(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        now: float,
        event: SessionInput,
        message: ControlMessage | None = None,
    ) -> None:
        if message is not None:
            encode_message(message)
        tunnel = self._find(local_tunnel_id)
        tunnel.step_session(local_session_id, event, message)
        self._settle(tunnel, now)

    # What is known of a tunnel's way.

    def say_hello(self, local_tunnel_id: int, now: float) -> None:
        """Send a HELLO now, without waiting for silence (RFC 2661 §5.5).

        has_unacknowledged() tells when it is acknowledged. Raises LocalProtocolError for a tunnel
        that is not established.
        """
        tunnel = self._find(local_tunnel_id)
        tunnel.say_hello()
        self._settle(tunnel, now)

    def note_network_error(self, local_tunnel_id: int, text: str) -> None:
        """Remember what the tunnel's socket reported, so that a dead peer's cause names it."""
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is not None:
            tunnel.transport.network_error = text

    def has_unacknowledged(self, local_tunnel_id: int) -> bool:
        """Whether the peer still owes an acknowledgement; false for an unknown tunnel."""
        tunnel = self._tunnels.get(local_tunnel_id)
        return tunnel is not None and not tunnel.transport.is_quiet

    # Datagrams and time in.

    def receive_datagram(
        self, data: bytes, source: Address, now: float, *, local_tunnel_id: int | None = None
    ) -> None:
        """Take one datagram; `local_tunnel_id` is the socket's tunnel, None the listener's.

        The header's tunnel id says whose it is, whatever socket it came on: a kernel with several
        sockets of one address and port may use any of them.
        """
        try:
            header = decode_header(data)
        except HeaderError as error:
            self._drop(local_tunnel_id, source, DropReason.MALFORMED_HEADER, error.text, "§3.1")
            return
        if isinstance(header, DataHeader):
            cause = (
                f"data for tunnel {header.tunnel_id}, session {header.session_id}, which the"
                " kernel has no session for"
            )
            self._drop(local_tunnel_id, source, DropReason.DATA_MESSAGE, cause, "§3.1")
            return
        body = data[CONTROL_HEADER_SIZE : header.length]
        tunnel = self._tunnels.get(header.tunnel_id)
        if not self._is_within_rate(tunnel, source, now):
            limit = self.config.limits.messages_per_s_per_peer
            cause = f"more than {limit} messages a second"
            self._drop(local_tunnel_id, source, DropReason.TOO_MANY_MESSAGES, cause, "§5.8")
            return
        if header.tunnel_id:
            if tunnel is None:
                cause = f"no tunnel {header.tunnel_id} here"
                self._drop(local_tunnel_id, source, DropReason.UNKNOWN_TUNNEL, cause, "§3.1")
        else:
            tunnel = self._tunnel_of_request(header, body, source, now, local_tunnel_id)
        if tunnel is not None:
            self._receive(tunnel, header, body, source, now)
            self._settle(tunnel, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`: retransmit, acknowledge, say HELLO, give up, release."""
        for local_tunnel_id in self._deadlines.take_due(now):
            tunnel = self._tunnels[local_tunnel_id]
            tunnel.handle_timer(now)
            self._settle(tunnel, now)

    # Everything out.

    def get_timer(self) -> float | None:
        """When handle_timer() must be called next; None when nothing is pending."""
        return self._deadlines.get_timer()

    def datagrams_to_send(self) -> list[Datagram]:
        """Take the datagrams that are due, in order; the list is then empty again."""
        due, self._datagrams = self._datagrams, []
        return due

    def next_event(self) -> Event | None:
        """Take the oldest event; None when there is none left."""
        return self._events.popleft() if self._events else None

    # Inside.

    def _is_within_rate(self, tunnel: Tunnel | None, source: Address, now: float) -> bool:
        """Count a message against its sender: an established tunnel's peer, else its host."""
        is_the_peer = (
            tunnel is not None and tunnel.state is TunnelState.ESTABLISHED and tunnel.peer == source
        )
        sender = tunnel.local_tunnel_id if tunnel and is_the_peer else network_of(source.host)
        return self._throttle.admits(sender, self.config.limits.messages_per_s_per_peer, now)

    def _sessions_of_peer(self, peer: Address) -> int:
        ids = self._census.tunnels_of(peer.host)
        return sum(len(self._tunnels[number].calls.sessions) for number in ids)

    def _receive(
        self, tunnel: Tunnel, header: ControlHeader, body: bytes, source: Address, now: float
    ) -> None:
        may_move = tunnel.state is TunnelState.WAIT_CTL_REPLY
        tunnel.transport.receive(header, body, source, now, may_move=may_move)
        while (incoming := tunnel.transport.next_message(now)) is not None:
            self._process(tunnel, incoming.header, incoming.body, now)

    def _process(self, tunnel: Tunnel, header: ControlHeader, body: bytes, now: float) -> None:
        transport = tunnel.transport
        try:
            message = decode_message(body, secret=tunnel.secret)
        except MessageError as error:
            transport.report_received(_name(error.message_type), None, header)
            is_used = tunnel.receive_invalid(error, header.session_id, now)
            fault = f"nobody to answer {error}"
        else:
            transport.report_received(message.name, message, header)
            is_used = tunnel.receive(message, header.session_id, now)
            fault = "it may have ended already"
        if not is_used:
            cause = f"no session {header.session_id} here: {fault}"
            transport.drop(tunnel.peer, DropReason.UNKNOWN_SESSION, cause, "§7.4")

    def _tunnel_of_request(
        self,
        header: ControlHeader,
        body: bytes,
        source: Address,
        now: float,
        local_tunnel_id: int | None,
    ) -> Tunnel | None:
        """The tunnel of a message that bears no tunnel id: a SCCRQ, or a StopCCN soon after it."""
        kind = peek_message_type(body)
        if kind not in (MessageType.SCCRQ, MessageType.StopCCN):
            cause = "tunnel id 0 on what is neither SCCRQ nor StopCCN"
            self._drop(local_tunnel_id, source, DropReason.NOT_A_REQUEST, cause, "§3.1")
            return None
        secret = self.config.secret_for(peek_host_name(body) or "")
        fields: Mapping[str, object]
        try:
            message = decode_message(body, secret=secret)
            fields = {name: getattr(message, name, None) for name in _REQUEST_FIELDS}
        except MessageError as error:
            fields = error.fields
        assigned, theirs = (fields.get(name) for name in _REQUEST_FIELDS)
        if not isinstance(assigned, int):
            cause = "no usable Assigned Tunnel ID, so nobody to answer"
            self._drop(local_tunnel_id, source, DropReason.MALFORMED_REQUEST, cause, "§6.1")
            return None
        known = self._by_peer.get((source, assigned))
        if known is not None:
            return known
        if kind == MessageType.StopCCN:
            cause = f"no tunnel with {source} whose id there is {assigned}"
            self._drop(local_tunnel_id, source, DropReason.UNKNOWN_TUNNEL, cause, "§5.7")
            return None
        if header.ns or header.nr:
            cause = f"a first message has Ns and Nr 0, not {header.ns} and {header.nr}"
            self._drop(local_tunnel_id, source, DropReason.MALFORMED_REQUEST, cause, "§5.8")
            return None
        refusal = self._census.refuses(source.host, self.config.maximum_tunnels, self.config.limits)
        if refusal is not None:
            self._drop(local_tunnel_id, source, refusal.reason, refusal.cause, "§7.2.1")
            return None
        lost, is_beaten = self._settle_ties(source, theirs if isinstance(theirs, bytes) else None)
        if is_beaten:
            for rival in lost:
                self._lose_tie(rival, None, now)
            cause = "we asked for a tunnel at the same moment, and its Tie Breaker is not lower"
            self._drop(local_tunnel_id, source, DropReason.LOST_TIE, cause, "§4.4.3")
            return None
        tunnel = self._add_tunnel(source, now, initiated=False, secret=secret)
        self._by_peer[source, assigned] = tunnel
        for rival in lost:
            self._lose_tie(rival, tunnel.local_tunnel_id, now)
        return tunnel

    def _settle_ties(self, source: Address, theirs: bytes | None) -> tuple[list[Tunnel], bool]:
        """Our tunnels that end because the peer asks for one too, and whether its own may not be.

        A peer may ask from another port than the one where it listens, so its host tells.
        """
        if not self.config.accepts_tunnels:
            return [], False
        ties = [
            (tunnel, settle_tie(tunnel.tie_breaker, theirs))
            for tunnel in self._asking.values()
            if tunnel.peer.host == source.host
        ]
        lost = [tunnel for tunnel, tie in ties if tie in (Tie.LOST, Tie.DRAWN)]
        return lost, any(tie in (Tie.WON, Tie.DRAWN) for _, tie in ties)

    def _lose_tie(self, tunnel: Tunnel, winner: int | None, now: float) -> None:
        tunnel.lose_tie(winner, now)
        self._settle(tunnel, now)

    def _add_tunnel(
        self, peer: Address, now: float, *, initiated: bool, secret: bytes | None
    ) -> Tunnel:
        is_surplus = not initiated and self._census.is_full(
            peer.host, self.config.maximum_tunnels, self.config.limits
        )
        tunnel = Tunnel(
            self.config,
            local_tunnel_id=choose_id(self._random, self._tunnels.__contains__),
            peer=peer,
            initiated=initiated,
            is_surplus=is_surplus,
            secret=secret,
            random=self._random,
            next_serial=self._next_serial,
            received_data=self._received_data,
            emit=self._emit,
            sessions_of_peer=self._sessions_of_peer,
            now=now,
        )
        self._tunnels[tunnel.local_tunnel_id] = tunnel
        self._census.add(tunnel.local_tunnel_id, peer.host, half_open=not initiated)
        if initiated:
            self._asking[tunnel.local_tunnel_id] = tunnel
        return tunnel

    def _settle(self, tunnel: Tunnel, now: float) -> None:
        """Collect what the tunnel has to send, arm its deadline, or bury it."""
        if tunnel.state is not TunnelState.WAIT_CTL_REPLY:
            self._asking.pop(tunnel.local_tunnel_id, None)
        if tunnel.is_released:
            self._release(tunnel)
            return
        self._datagrams.extend(tunnel.transport.datagrams(now))
        self._deadlines.arm(tunnel.local_tunnel_id, tunnel.get_timer())

    def _release(self, tunnel: Tunnel) -> None:
        del self._tunnels[tunnel.local_tunnel_id]
        self._census.remove(tunnel.local_tunnel_id)
        self._deadlines.arm(tunnel.local_tunnel_id, None)
        key = (tunnel.peer, tunnel.peer_tunnel_id)
        if self._by_peer.get(key) is tunnel:
            del self._by_peer[key]

    def _find(self, local_tunnel_id: int) -> Tunnel:
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is None:
            raise LocalProtocolError(f"there is no tunnel {local_tunnel_id}", section="§7.2")
        return tunnel

    def _next_serial(self) -> int:
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        return self._serial

    def _emit(self, event: Event) -> None:
        if isinstance(event, DatagramDropped):
            self.dropped[event.reason] += 1
        elif isinstance(event, TunnelEstablished):
            self._census.complete(event.local_tunnel_id)
        elif isinstance(event, TunnelClosed):
            self._census.close(event.local_tunnel_id)
        self._events.append(event)

    def _drop(
        self,
        local_tunnel_id: int | None,
        source: Address,
        reason: DropReason,
        cause: str,
        section: str,
    ) -> None:
        self._emit(
            DatagramDropped(
                local_tunnel_id=local_tunnel_id,
                source=source,
                reason=reason,
                cause=cause,
                section=section,
            )
        )


def _name(message_type: int | None) -> str:
    if message_type is None:
        return "message"
    known = MessageType.__members__.values()
    return MessageType(message_type).name if message_type in known else f"message-{message_type}"
