"""What comes in: whose a datagram is, what it may still want there, and which are dropped why."""

from __future__ import annotations

from collections.abc import Mapping

from l2tp.protocol.codec import decode_message, peek_host_name, peek_message_type
from l2tp.protocol.constants import MessageType
from l2tp.protocol.errors import HeaderError, MessageError
from l2tp.protocol.events import DatagramDropped, DropReason
from l2tp.protocol.greeting import Tie, settle_tie
from l2tp.protocol.header import CONTROL_HEADER_SIZE, ControlHeader, DataHeader, decode_header
from l2tp.protocol.parameters import Address
from l2tp.protocol.transitions import TunnelState
from l2tp.protocol.tunnel import Tunnel
from l2tp.protocol.tunnels import Tunnels

_REQUEST_FIELDS = ("assigned_tunnel_id", "tie_breaker")
# Where a StopCCN may come without our id, or once more.
_UNNAMED = (TunnelState.WAIT_CTL_CONN, TunnelState.STOPPED)


class Arrivals:
    """Finds or makes the tunnel of each datagram, and hands its messages over in their turn."""

    def __init__(self, tunnels: Tunnels) -> None:
        self._tunnels = tunnels

    def receive(
        self, data: bytes, source: Address, now: float, local_tunnel_id: int | None
    ) -> None:
        """Take one datagram; `local_tunnel_id` is that of the socket, for what is dropped."""
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
        tunnel = self._tunnels.by_id.get(header.tunnel_id)
        if not self._tunnels.is_within_rate(tunnel, source, now):
            limit = self._tunnels.config.limits.messages_per_s_per_peer
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
            _receive(tunnel, header, body, source, now)
            self._tunnels.settle(tunnel, now)

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
        config, census = self._tunnels.config, self._tunnels.census
        secret = config.secret_for(peek_host_name(body) or "")
        assigned, theirs = _request_of(body, secret)
        if kind == MessageType.StopCCN and not isinstance(assigned, int):
            assigned = self._hidden_id(body, source)
        if not isinstance(assigned, int):
            cause = "no usable Assigned Tunnel ID, so nobody to answer"
            self._drop(local_tunnel_id, source, DropReason.MALFORMED_REQUEST, cause, "§6.1")
            return None
        known = self._tunnels.by_peer_id.get((source, assigned))
        if known is not None and kind == MessageType.SCCRQ:
            if known.state is TunnelState.ESTABLISHED:
                self._probe(known, source, now)
                return None
            if known.state is TunnelState.STOPPED and known.transport.is_quiet:
                # The peer knows of its end, so this asks for another; while it still has to
                # acknowledge our StopCCN it is the old request again.
                known = None
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
        refusal = census.refuses(source.host, config.maximum_tunnels, config.limits)
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
        tunnel = self._tunnels.add(source, now, initiated=False, secret=secret)
        self._tunnels.by_peer_id[source, assigned] = tunnel
        for rival in lost:
            self._lose_tie(rival, tunnel.local_tunnel_id, now)
        return tunnel

    def _probe(self, tunnel: Tunnel, source: Address, now: float) -> None:
        """Ask whether an open tunnel lives whose peer asks for one with the same id (§5.5).

        It is a copy that comes late, or the peer has restarted and knows nothing of the old one.
        So it is no sign of life; the HELLO acknowledges it if it was a copy (§5.8), and otherwise
        finds the old tunnel dead, after which the peer gets its new one.
        """
        cause = (
            f"its id is that of tunnel {tunnel.local_tunnel_id}, which is open: a copy, or the"
            " peer has restarted, which HELLO will show"
        )
        tunnel.transport.drop(source, DropReason.DUPLICATE, cause, "§5.8")
        if tunnel.transport.is_quiet:
            tunnel.say_hello()
            self._tunnels.settle(tunnel, now)

    def _hidden_id(self, body: bytes, source: Address) -> int | None:
        """The Assigned Tunnel ID of a StopCCN that hides it.

        It names no host, so the secret is that of one of the sender's tunnels (§4.3): of those for
        which it may not know our id yet.
        """
        for number in self._tunnels.census.tunnels_of(source.host):
            tunnel = self._tunnels.by_id[number]
            if tunnel.peer != source or tunnel.secret is None or tunnel.state not in _UNNAMED:
                continue
            assigned, _ = _request_of(body, tunnel.secret)
            if isinstance(assigned, int) and assigned == tunnel.peer_tunnel_id:
                return assigned
        return None

    def _settle_ties(self, source: Address, theirs: bytes | None) -> tuple[list[Tunnel], bool]:
        """Our tunnels that end because the peer asks for one too, and whether its own may not be.

        A peer may ask from another port than the one where it listens, so its host tells.
        """
        if not self._tunnels.config.accepts_tunnels:
            return [], False
        ties = [
            (tunnel, settle_tie(tunnel.tie_breaker, theirs))
            for tunnel in self._tunnels.asking.values()
            if tunnel.peer.host == source.host
        ]
        lost = [tunnel for tunnel, tie in ties if tie in (Tie.LOST, Tie.DRAWN)]
        return lost, any(tie in (Tie.WON, Tie.DRAWN) for _, tie in ties)

    def _lose_tie(self, tunnel: Tunnel, winner: int | None, now: float) -> None:
        tunnel.lose_tie(winner, now)
        self._tunnels.settle(tunnel, now)

    def _drop(
        self,
        local_tunnel_id: int | None,
        source: Address,
        reason: DropReason,
        cause: str,
        section: str,
    ) -> None:
        self._tunnels.emit(
            DatagramDropped(
                local_tunnel_id=local_tunnel_id,
                source=source,
                reason=reason,
                cause=cause,
                section=section,
            )
        )


def _request_of(body: bytes, secret: bytes | None) -> tuple[object, object]:
    """Read the peer's id and Tie Breaker from a request, as far as it can be read."""
    fields: Mapping[str, object]
    try:
        message = decode_message(body, secret=secret)
        fields = {name: getattr(message, name, None) for name in _REQUEST_FIELDS}
    except MessageError as error:
        fields = error.fields
    assigned, theirs = (fields.get(name) for name in _REQUEST_FIELDS)
    return assigned, theirs


def _receive(
    tunnel: Tunnel, header: ControlHeader, body: bytes, source: Address, now: float
) -> None:
    may_move = tunnel.state is TunnelState.WAIT_CTL_REPLY
    tunnel.transport.receive(header, body, source, now, may_move=may_move)
    while (incoming := tunnel.transport.next_message(now)) is not None:
        _process(tunnel, incoming.header, incoming.body, now)
    tunnel.end_if_overrun(now)


def _process(tunnel: Tunnel, header: ControlHeader, body: bytes, now: float) -> None:
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


def _name(message_type: int | None) -> str:
    if message_type is None:
        return "message"
    known = MessageType.__members__.values()
    return MessageType(message_type).name if message_type in known else f"message-{message_type}"
