"""What a daemon can say about itself: tunnels and sessions as its events told, with figures."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from l2tp.config import DaemonConfig
from l2tp.errors import KernelError
from l2tp.events import (
    CallAnswered,
    CallRequested,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.kernel.uapi import L2tpStats
from l2tp.ppp.sessions import Session, Sessions
from l2tp.roles import Role
from l2tp.sockets import UdpSockets

VERSION: Final = "0.1.0"


@dataclass(slots=True)
class SessionView:
    """A session as the control connection knows it."""

    local_session_id: int
    peer_session_id: int | None = None
    state: str = "calling"


@dataclass(slots=True)
class TunnelView:
    """A tunnel as the control connection knows it."""

    local_tunnel_id: int
    peer: str
    peer_tunnel_id: int | None = None
    state: str = "opening"
    peer_host_name: str | None = None
    cause: str | None = None
    since_ns: int = field(default_factory=time.monotonic_ns)
    sessions: dict[int, SessionView] = field(default_factory=dict)

    def enter(self, state: str) -> None:
        """Enter another state now."""
        self.state = state
        self.since_ns = time.monotonic_ns()


class View:
    """Follows events and answers "status"."""

    def __init__(self) -> None:
        self.tunnels: dict[int, TunnelView] = {}

    def opened(self, local_tunnel_id: int, peer: object) -> None:
        """Note a tunnel that we opened ourselves."""
        self.tunnels[local_tunnel_id] = TunnelView(local_tunnel_id, str(peer))

    def placed(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Note a call that we placed ourselves."""
        self._session(local_tunnel_id, local_session_id, None, "calling")

    def follow(self, event: object) -> None:
        """Take an event over."""
        match event:
            case TunnelRequested():
                self.opened(event.local_tunnel_id, event.peer)
                self.tunnels[event.local_tunnel_id].peer_tunnel_id = event.peer_tunnel_id
            case TunnelEstablished():
                tunnel = self.tunnels[event.local_tunnel_id]
                tunnel.peer = str(event.peer)
                tunnel.peer_tunnel_id = event.peer_tunnel_id
                tunnel.peer_host_name = event.peer_host_name
                tunnel.enter("established")
            case TunnelClosed():
                if closed := self.tunnels.get(event.local_tunnel_id):
                    closed.cause = event.cause
                    closed.enter("closed")
            case TunnelReleased():
                self.tunnels.pop(event.local_tunnel_id, None)
            case CallRequested():
                self._follow_session(event, "requested")
            case CallAnswered():
                self._follow_session(event, "answered")
            case SessionEstablished():
                self._follow_session(event, "established")
            case SessionClosed():
                self._follow_session(event, "closed")

    def forget_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Forget a session that is gone."""
        if tunnel := self.tunnels.get(local_tunnel_id):
            tunnel.sessions.pop(local_session_id, None)

    def _follow_session(
        self, event: CallRequested | CallAnswered | SessionEstablished | SessionClosed, state: str
    ) -> None:
        self._session(event.local_tunnel_id, event.local_session_id, event.peer_session_id, state)

    def _session(
        self, local_tunnel_id: int, local_session_id: int, peer: int | None, state: str
    ) -> None:
        if tunnel := self.tunnels.get(local_tunnel_id):
            session = tunnel.sessions.setdefault(local_session_id, SessionView(local_session_id))
            session.peer_session_id = peer if peer is not None else session.peer_session_id
            session.state = state


def status(
    config: DaemonConfig,
    view: View,
    sockets: UdpSockets,
    sessions: Sessions,
    role: Role,
    dropped: dict[str, int],
) -> dict[str, Any]:
    """Build the answer to "status"."""
    return {
        "role": config.role,
        "host_name": config.endpoint.host_name,
        "pid": os.getpid(),
        "version": VERSION,
        "address": str(config.lns.listen if config.lns else config.tunnels[0].local),
        "tunnels": [
            _tunnel(tunnel, sockets, sessions, role, config.ppp.mtu)
            for tunnel in view.tunnels.values()
        ],
        "dropped": dropped,
    }


def _tunnel(
    tunnel: TunnelView, sockets: UdpSockets, sessions: Sessions, role: Role, mtu: int
) -> dict[str, Any]:
    udp = sockets.find(tunnel.local_tunnel_id)
    kernel = sessions.tunnel(tunnel.local_tunnel_id)
    return {
        "local_tunnel_id": tunnel.local_tunnel_id,
        "peer_tunnel_id": tunnel.peer_tunnel_id,
        "state": tunnel.state,
        "cause": tunnel.cause,
        "peer_host_name": tunnel.peer_host_name,
        "local": str(udp.local) if udp else None,
        "peer": tunnel.peer,
        "since_ns": tunnel.since_ns,
        "kernel": _stats(kernel.stats) if kernel else None,
        "sessions": [
            _session(
                one,
                sessions.find(tunnel.local_tunnel_id, one.local_session_id),
                role.user_of(tunnel.local_tunnel_id, one.local_session_id),
                mtu,
            )
            for one in tunnel.sessions.values()
        ],
    }


def _session(
    view: SessionView, session: Session | None, user: str | None, mtu: int
) -> dict[str, Any]:
    ppp = None
    if session is not None:
        state = session.ppp
        user = state.user or user
        ppp = {
            "phase": str(state.phase),
            "pid": session.pppd.pid,
            "interface": state.interface,
            "unit": state.unit,
            "local_ipv4": state.local_ipv4,
            "peer_ipv4": state.peer_ipv4,
            "local_ipv6": state.local_ipv6,
            "peer_ipv6": state.peer_ipv6,
            "mtu": mtu,
            "ready": session.ready,
        }
    return {
        "local_session_id": view.local_session_id,
        "peer_session_id": view.peer_session_id,
        "state": view.state,
        "user": user,
        "ppp": ppp,
        "kernel": _stats(session.kernel.stats) if session else None,
    }


def _stats(read: Callable[[], L2tpStats]) -> dict[str, int] | None:
    """Read counters; None when the kernel ended what they belong to a moment ago."""
    try:
        return dataclasses.asdict(read())
    except KernelError:
        return None
