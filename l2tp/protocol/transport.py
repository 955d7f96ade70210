"""One tunnel's way to the wire: addresses, headers, bodies and the reliable channel below them.

It decides whether a datagram is the tunnel's, in which order its messages count, and what goes out;
what they mean is the tunnel's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from l2tp.protocol.causes import Silence
from l2tp.protocol.channel import Channel, ChannelTimers, Verdict
from l2tp.protocol.codec import encode_message, peek_message_type
from l2tp.protocol.constants import MessageType
from l2tp.protocol.events import (
    DatagramDropped,
    DropReason,
    Event,
    MessageReceived,
    MessageSent,
    PeerAddressChanged,
)
from l2tp.protocol.header import ControlHeader, encode_control
from l2tp.protocol.hiding import Hider
from l2tp.protocol.messages import ControlMessage
from l2tp.protocol.parameters import Address, Datagram, EndpointConfig

ZLB = "ZLB"
"""The name of a message without a body, which only acknowledges (RFC 2661 §5.8)."""

_DROPS = {
    Verdict.DUPLICATE: (DropReason.DUPLICATE, "a message that was received before"),
    Verdict.OUTSIDE_WINDOW: (DropReason.OUTSIDE_WINDOW, "a message beyond our receive window"),
    Verdict.UNSENT_ACKNOWLEDGED: (
        DropReason.UNSENT_ACKNOWLEDGED,
        "an Nr that acknowledges what was never sent",
    ),
}
_ANSWERS = (MessageType.SCCRP, MessageType.StopCCN)


class _Outgoing(NamedTuple):
    message: ControlMessage
    body: bytes
    local_session_id: int
    peer_session_id: int


class Incoming(NamedTuple):
    """A message whose turn has come; its body is not decoded yet."""

    header: ControlHeader
    body: bytes


class Transport:
    """Sends and receives for one tunnel; `peer_tunnel_id` is 0 until it is known."""

    __slots__ = (
        "_channel",
        "_config",
        "_emit",
        "_heard_at",
        "_heard_ever",
        "_local_tunnel_id",
        "_moves",
        "hider",
        "network_error",
        "peer",
        "peer_tunnel_id",
    )

    def __init__(
        self,
        config: EndpointConfig,
        *,
        local_tunnel_id: int,
        peer: Address,
        emit: Callable[[Event], None],
        now: float,
    ) -> None:
        self._config = config
        self._local_tunnel_id = local_tunnel_id
        self._emit = emit
        self._heard_at = now
        self._heard_ever = False
        self.peer = peer
        self.peer_tunnel_id = 0
        self.network_error: str | None = None
        self.hider: Hider | None = None
        """Hides what this tunnel's peer is told; None hides nothing (§4.3)."""
        timers = ChannelTimers(
            retransmission_initial_s=config.retransmission_initial_s,
            retransmission_cap_s=config.retransmission_cap_s,
            maximum_retransmissions=config.maximum_retransmissions,
            acknowledgement_delay_s=config.acknowledgement_delay_s,
        )
        self._channel: Channel[_Outgoing, Incoming] = Channel(
            timers, receive_window=config.receive_window_size
        )

    # Sending.

    def send(
        self, message: ControlMessage, *, local_session_id: int = 0, peer_session_id: int = 0
    ) -> None:
        """Queue a message; the header gets `peer_session_id`."""
        body = encode_message(message, hider=self.hider)
        self._channel.send(_Outgoing(message, body, local_session_id, peer_session_id))

    def drop_unsent(self) -> None:
        """Forget what is queued and never left."""
        self._channel.drop_unsent()

    def stop_sending(self) -> None:
        """Send nothing but acknowledgements from now on."""
        self._channel.stop_sending()

    def acknowledge_at_once(self) -> None:
        """Delay no acknowledgement from now on."""
        self._channel.acknowledge_at_once()

    def set_peer_window(self, size: int) -> None:
        """Adopt the peer's Receive Window Size (§4.4.3)."""
        self._channel.set_peer_window(size)

    @property
    def is_quiet(self) -> bool:
        """Whether the peer owes no acknowledgement."""
        return self._channel.is_quiet

    @property
    def waiting(self) -> int:
        """How many messages the peer has not acknowledged, or not been sent yet."""
        return self._channel.waiting

    def datagrams(self, now: float) -> list[Datagram]:
        """What is due at `now`, reported as MessageSent."""
        datagrams = []
        for item, ns, nr, attempt in self._channel.transmissions(now):
            tunnel_id = self.peer_tunnel_id
            session_id = local_session_id = 0
            body = b""
            name, message = ZLB, None
            if item is not None:
                message, body, local_session_id, session_id = item
                name = message.name
                if message.message_type is MessageType.SCCRQ:
                    # The peer's id is not known before its SCCRP: a SCCRQ has 0 (§3.1).
                    tunnel_id = 0
            data = encode_control(tunnel_id, session_id, ns, nr, body)
            datagrams.append(Datagram(self._local_tunnel_id, self.peer, data))
            self._emit(
                MessageSent(
                    local_tunnel_id=self._local_tunnel_id,
                    local_session_id=local_session_id,
                    peer=self.peer,
                    name=name,
                    ns=ns,
                    nr=nr,
                    message=message,
                    transmission=attempt,
                )
            )
        return datagrams

    # Receiving.

    def receive(
        self, header: ControlHeader, body: bytes, source: Address, now: float, *, may_move: bool
    ) -> None:
        """Take one datagram; `next_message` then gives what is due.

        `may_move` says that the answer to our SCCRQ is awaited, which the peer may send from
        another port or address (§8.1).
        """
        if source != self.peer and not (may_move and self._is_moved_answer(header, body)):
            self.drop(source, DropReason.WRONG_SOURCE, f"the tunnel's peer is {self.peer}", "§8.1")
            return
        incoming = Incoming(header, body) if body else None
        verdict = self._channel.receive(header.ns, header.nr, incoming, now)
        if verdict is not Verdict.UNSENT_ACKNOWLEDGED:
            self._heard_at = now
            self._heard_ever = True
            self.network_error = None
        if verdict in _DROPS:
            reason, cause = _DROPS[verdict]
            self.drop(source, reason, f"{cause} (Ns {header.ns}, Nr {header.nr})", "§5.8")
            return
        if source != self.peer:
            previous, self.peer = self.peer, source
            self._emit(
                PeerAddressChanged(
                    local_tunnel_id=self._local_tunnel_id, previous=previous, peer=source
                )
            )
        if incoming is None:
            self.report_received(ZLB, None, header)

    def note_heard(self, now: float) -> None:
        """Note a sign of life that did not come through here: data (§5.5)."""
        self._heard_at = now

    def next_message(self, now: float) -> Incoming | None:
        """Take the next message in its turn; None until it is there."""
        arrival = self._channel.next_arrival(now)
        return arrival[1] if arrival else None

    def report_received(
        self, name: str, message: ControlMessage | None, header: ControlHeader
    ) -> None:
        """Report a message in its turn."""
        self._emit(
            MessageReceived(
                local_tunnel_id=self._local_tunnel_id,
                local_session_id=header.session_id,
                peer=self.peer,
                name=name,
                ns=header.ns,
                nr=header.nr,
                message=message,
            )
        )

    def drop(self, source: Address, reason: DropReason, cause: str, section: str) -> None:
        """Report a datagram that is not used."""
        self._emit(
            DatagramDropped(
                local_tunnel_id=self._local_tunnel_id,
                source=source,
                reason=reason,
                cause=cause,
                section=section,
            )
        )

    # Time.

    @property
    def hello_at(self) -> float | None:
        """When silence calls for a HELLO; None while an acknowledgement is awaited (§5.5)."""
        interval_s = self._config.hello_interval_s
        return self._heard_at + interval_s if interval_s > 0 and self.is_quiet else None

    @property
    def _dead_at(self) -> float | None:
        since = self._channel.unacknowledged_since
        if self._config.dead_time_s is None or since is None or not self._heard_ever:
            return None
        return max(since, self._heard_at) + self._config.dead_time_s

    def get_timer(self) -> float | None:
        """When handle_timer() is due; None when nothing is pending."""
        due, dead_at = self._channel.get_timer(), self._dead_at
        return dead_at if due is None or (dead_at is not None and dead_at < due) else due

    def handle_timer(self, now: float) -> Silence | None:
        """Retransmit; once retransmissions are exhausted, say what is known of the silence."""
        self._channel.handle_timer(now)
        if (dead_at := self._dead_at) is not None and dead_at <= now:
            self._channel.give_up()
        unanswered = self._channel.unacknowledged
        if not self._channel.is_dead or unanswered is None:
            return None
        return Silence(
            peer=self.peer,
            message=unanswered.message.name,
            retransmissions=self._channel.retransmissions,
            heard_s_ago=now - self._heard_at if self._heard_ever else None,
            network_error=self.network_error,
        )

    def _is_moved_answer(self, header: ControlHeader, body: bytes) -> bool:
        return header.ns == self._channel.nr and peek_message_type(body) in _ANSWERS
