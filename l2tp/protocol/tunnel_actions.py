"""What a control connection does from state to state: the actions of its table (RFC 2661 §7.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from l2tp.protocol.causes import Closure
from l2tp.protocol.constants import DEFAULT_RECEIVE_WINDOW, MessageType, StopResult
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.events import TunnelClosed, TunnelEstablished, TunnelReleased, TunnelRequested
from l2tp.protocol.greeting import make_sccrp, make_sccrq
from l2tp.protocol.messages import SCCCN, StopCCN
from l2tp.protocol.transitions import TunnelAction

if TYPE_CHECKING:
    from l2tp.protocol.tunnel import Tunnel


def send_sccrq(tunnel: Tunnel, _: Closure | None, now: float) -> None:
    """Ask for the tunnel."""
    challenge = tunnel.authentication.challenge
    tunnel.transport.send(
        make_sccrq(tunnel.config, tunnel.local_tunnel_id, challenge, tunnel.tie_breaker)
    )


def send_sccrp(tunnel: Tunnel, _: Closure | None, now: float) -> None:
    """Say that there is a request, and answer it."""
    greeting = tunnel.greeting
    if greeting is None:
        return
    tunnel.emit(
        TunnelRequested(
            local_tunnel_id=tunnel.local_tunnel_id,
            peer_tunnel_id=tunnel.peer_tunnel_id,
            peer=tunnel.peer,
            peer_host_name=greeting.host_name,
            peer_vendor_name=greeting.vendor_name,
        )
    )
    authentication = tunnel.authentication
    response = authentication.respond(MessageType.SCCRP, greeting.challenge)
    tunnel.transport.send(
        make_sccrp(tunnel.config, tunnel.local_tunnel_id, authentication.challenge, response)
    )


def send_scccn(tunnel: Tunnel, _: Closure | None, now: float) -> None:
    """Confirm the answer, and prove who we are."""
    challenge = tunnel.greeting.challenge if tunnel.greeting else None
    response = tunnel.authentication.respond(MessageType.SCCCN, challenge)
    tunnel.transport.send(SCCCN(challenge_response=response))


def send_stopccn(tunnel: Tunnel, closure: Closure | None, now: float) -> None:
    """Say that the tunnel ends, and why."""
    result = closure.result if closure else None
    # What never left would only delay the StopCCN, and nobody wants it any more.
    tunnel.transport.drop_unsent()
    tunnel.transport.send(
        StopCCN(
            result_code=result or ResultCode(StopResult.CLEAR_REQUEST),
            assigned_tunnel_id=tunnel.local_tunnel_id,
        )
    )


def report_open(tunnel: Tunnel, _: Closure | None, now: float) -> None:
    """Say that the tunnel is there."""
    greeting = tunnel.greeting
    if greeting is None:
        return
    tunnel.emit(
        TunnelEstablished(
            local_tunnel_id=tunnel.local_tunnel_id,
            peer_tunnel_id=tunnel.peer_tunnel_id,
            peer=tunnel.peer,
            peer_host_name=greeting.host_name,
            peer_vendor_name=greeting.vendor_name,
            peer_firmware_revision=greeting.firmware_revision,
            peer_framing_capabilities=greeting.framing_capabilities,
            peer_bearer_capabilities=greeting.bearer_capabilities,
            peer_receive_window_size=greeting.receive_window_size or DEFAULT_RECEIVE_WINDOW,
            initiated=tunnel.initiated,
            authenticated=tunnel.authentication.is_required,
        )
    )


def open_sessions(tunnel: Tunnel, _: Closure | None, now: float) -> None:
    """Place the calls that waited for it."""
    tunnel.calls.open_waiting()


def clean_up(tunnel: Tunnel, closure: Closure | None, now: float) -> None:
    """End every session, say why the tunnel ended, and keep it for its retention (§5.7)."""
    result = closure.result if closure else None
    cause = closure.cause if closure else ""
    by_peer = closure.by_peer if closure else False
    if by_peer:
        tunnel.transport.stop_sending()
    else:
        tunnel.transport.acknowledge_at_once()
    tunnel.calls.close_all(Closure(None, f"the tunnel ended: {cause}", by_peer))
    tunnel.release_at = now + tunnel.config.retention_period_s()
    tunnel.emit(
        TunnelClosed(
            local_tunnel_id=tunnel.local_tunnel_id,
            peer_tunnel_id=tunnel.peer_tunnel_id or None,
            peer=tunnel.peer,
            peer_host_name=tunnel.greeting.host_name if tunnel.greeting else None,
            result_code=result.result if result else None,
            error_code=result.error if result else None,
            message=result.message if result else "",
            cause=cause,
            by_peer=by_peer,
            superseded_by=tunnel.superseded_by,
        )
    )


def release(tunnel: Tunnel, _: Closure | None, now: float) -> None:
    """Say that nothing is left of it."""
    tunnel.release_at = None
    tunnel.is_released = True
    tunnel.emit(TunnelReleased(local_tunnel_id=tunnel.local_tunnel_id))


ACTIONS: Final[dict[TunnelAction, Callable[[Tunnel, Closure | None, float], None]]] = {
    TunnelAction.SEND_SCCRQ: send_sccrq,
    TunnelAction.SEND_SCCRP: send_sccrp,
    TunnelAction.SEND_SCCCN: send_scccn,
    TunnelAction.SEND_STOPCCN: send_stopccn,
    TunnelAction.REPORT_OPEN: report_open,
    TunnelAction.OPEN_SESSIONS: open_sessions,
    TunnelAction.CLEAN_UP: clean_up,
    TunnelAction.RELEASE: release,
}
"""Each gets the tunnel, why it ends (where it does), and the time; others are the caller's."""
