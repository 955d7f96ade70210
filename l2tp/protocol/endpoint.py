"""The sans-IO front of the protocol core: datagrams, calls and time in; datagrams, events out.

No method reads a clock or a socket: `now` is always seconds of one monotonic clock. After every
call drain `next_event()`, then send `datagrams_to_send()`, then arm one timer for `get_timer()`.
Events come first because sending a SCCRP or an ICCN needs the sockets that the events ask for.
"""

from __future__ import annotations

import random as random_module
from collections import Counter
from collections.abc import Callable, Iterable

from l2tp.protocol.arrivals import Arrivals
from l2tp.protocol.call_transitions import SessionInput, SessionState
from l2tp.protocol.causes import Closure
from l2tp.protocol.codec import encode_message
from l2tp.protocol.errors import HANG_UP, SHUTDOWN, LocalProtocolError, ResultCode
from l2tp.protocol.events import DropReason, Event
from l2tp.protocol.greeting import check_config
from l2tp.protocol.messages import OCCN, SLI, WEN, ControlMessage
from l2tp.protocol.parameters import Address, CallParameters, Datagram, EndpointConfig
from l2tp.protocol.snapshots import SessionInfo
from l2tp.protocol.tunnels import Tunnels
from l2tp.protocol.values import Accm, CallErrors, DisconnectCause, Q931Cause

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


class Endpoint:
    """Every tunnel of one LAC or LNS, in both roles (RFC 2661 §5).

    `received_data` says how many data messages of a tunnel (its local id) have come in so far: a
    number that only the data plane knows and that only has to change when more came. It is asked
    when a HELLO would be due, which then is put off if there was data (RFC 2661 §5.5). Raises
    LocalProtocolError where the configuration fits into no SCCRQ.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        random: random_module.Random,
        received_data: Callable[[int], int] | None = None,
    ) -> None:
        check_config(config)
        self._tunnels = Tunnels(config, random=random, received_data=received_data)
        self._arrivals = Arrivals(self._tunnels)

    @property
    def config(self) -> EndpointConfig:
        """What new tunnels are met with."""
        return self._tunnels.config

    @property
    def dropped(self) -> Counter[DropReason]:
        """How many datagrams were not used, by reason."""
        return self._tunnels.dropped

    # What the user asks for.

    def open_tunnel(self, peer: Address, now: float, *, secret: bytes | None = None) -> int:
        """Open a control connection to `peer` with a SCCRQ; returns the local tunnel id.

        `secret` overrides the configuration's. Raises LocalProtocolError at the limit of tunnels.
        """
        if self._tunnels.census.open >= self.config.maximum_tunnels:
            raise LocalProtocolError(
                f"there are {self._tunnels.census.open} tunnels, the limit:"
                " raise maximum_tunnels, or close one",
                section="§7.2.1",
            )
        tunnel = self._tunnels.add(
            peer, now, initiated=True, secret=self.config.secret if secret is None else secret
        )
        tunnel.open(now)
        self._tunnels.settle(tunnel, now)
        return tunnel.local_tunnel_id

    def close_tunnel(self, local_tunnel_id: int, now: float, result: ResultCode = SHUTDOWN) -> None:
        """Send a StopCCN, which ends every session too; a tunnel already gone stays gone."""
        tunnel = self._tunnels.by_id.get(local_tunnel_id)
        if tunnel is not None:
            tunnel.close(result, now)
            self._tunnels.settle(tunnel, now)

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
        tunnel = self._tunnels.find(local_tunnel_id)
        local_session_id = tunnel.place_call(call, now, outgoing=outgoing)
        self._tunnels.settle(tunnel, now)
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
        tunnel = self._tunnels.find(local_tunnel_id)
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
        tunnel = self._tunnels.by_id.get(local_tunnel_id)
        if tunnel is not None:
            closure = Closure(
                result,
                f"hung up here with {result.describe(of_call=True)}",
                q931_cause=q931_cause,
                disconnect_cause=disconnect_cause,
            )
            tunnel.hang_up(local_session_id, closure)
            self._tunnels.settle(tunnel, now)

    def reconfigure(self, config: EndpointConfig) -> None:
        """Meet new tunnels with this configuration; those that exist keep theirs.

        Raises LocalProtocolError, as the constructor does, and then changes nothing.
        """
        check_config(config)
        self._tunnels.config = config

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
        tunnel = self._tunnels.find(local_tunnel_id)
        tunnel.calls.update_speed(local_session_id, tx_connect_speed_bps, rx_connect_speed_bps)
        self._tunnels.settle(tunnel, now)

    def request_connect_speeds(
        self, local_tunnel_id: int, local_session_ids: Iterable[int], now: float
    ) -> None:
        """As LNS, ask for the speeds of these calls' lines (CSURQ, RFC 5515).

        ConnectSpeedChanged reports what the LAC answers. Raises LocalProtocolError for an unknown
        tunnel or session.
        """
        tunnel = self._tunnels.find(local_tunnel_id)
        tunnel.calls.request_speeds(local_session_ids)
        self._tunnels.settle(tunnel, now)

    def describe_session(self, local_tunnel_id: int, local_session_id: int) -> SessionInfo | None:
        """What is known of a session now; None where there is none."""
        tunnel = self._tunnels.by_id.get(local_tunnel_id)
        session = tunnel.calls.sessions.get(local_session_id) if tunnel else None
        return session.describe() if session else None

    def _framing(self, local_tunnel_id: int, local_session_id: int, wanted: int | None) -> int:
        asked = self._tunnels.find(local_tunnel_id).calls.find(local_session_id).call.framing_type
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
        tunnel = self._tunnels.find(local_tunnel_id)
        tunnel.step_session(local_session_id, event, message)
        self._tunnels.settle(tunnel, now)

    # What is known of a tunnel's way.

    def say_hello(self, local_tunnel_id: int, now: float) -> None:
        """Send a HELLO now, without waiting for silence (RFC 2661 §5.5).

        has_unacknowledged() tells when it is acknowledged. Raises LocalProtocolError for a tunnel
        that is not established.
        """
        tunnel = self._tunnels.find(local_tunnel_id)
        tunnel.say_hello()
        self._tunnels.settle(tunnel, now)

    def note_network_error(self, local_tunnel_id: int, text: str) -> None:
        """Remember what the tunnel's socket reported, so that a dead peer's cause names it."""
        tunnel = self._tunnels.by_id.get(local_tunnel_id)
        if tunnel is not None:
            tunnel.transport.network_error = text

    def has_unacknowledged(self, local_tunnel_id: int) -> bool:
        """Whether the peer still owes an acknowledgement; false for an unknown tunnel."""
        tunnel = self._tunnels.by_id.get(local_tunnel_id)
        return tunnel is not None and not tunnel.transport.is_quiet

    # Datagrams and time in.

    def receive_datagram(
        self, data: bytes, source: Address, now: float, *, local_tunnel_id: int | None = None
    ) -> None:
        """Take one datagram; `local_tunnel_id` is the socket's tunnel, None the listener's.

        The header's tunnel id says whose it is, whatever socket it came on: a kernel with several
        sockets of one address and port may use any of them.
        """
        self._arrivals.receive(data, source, now, local_tunnel_id)

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`: retransmit, acknowledge, say HELLO, give up, release."""
        for local_tunnel_id in self._tunnels.deadlines.take_due(now):
            tunnel = self._tunnels.by_id[local_tunnel_id]
            tunnel.handle_timer(now)
            self._tunnels.settle(tunnel, now)

    # Everything out.

    def get_timer(self) -> float | None:
        """When handle_timer() must be called next; None when nothing is pending."""
        return self._tunnels.deadlines.get_timer()

    def datagrams_to_send(self) -> list[Datagram]:
        """Take the datagrams that are due, in order; the list is then empty again."""
        return self._tunnels.take_datagrams()

    def next_event(self) -> Event | None:
        """Take the oldest event; None when there is none left."""
        events = self._tunnels.events
        return events.popleft() if events else None
