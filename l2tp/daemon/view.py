"""Tunnels and sessions as the endpoint's events told of them."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from l2tp.protocol.events import (
    CallAnswered,
    CallRequested,
    DatagramDropped,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.protocol.parameters import Address

_ENDED_KEPT: Final = 16
"""So many ends of tunnels are remembered, for who asks afterwards why."""


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
    peer: Address
    peer_tunnel_id: int | None = None
    state: str = "opening"
    peer_host_name: str | None = None
    cause: str | None = None
    since_ns: int = field(default_factory=time.monotonic_ns)
    sessions: dict[int, SessionView] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def enter(self, state: str) -> None:
        """Enter another state now."""
        self.state = state
        self.since_ns = time.monotonic_ns()


class View:
    """Follows events, for whoever asks how things stand."""

    def __init__(self) -> None:
        self.tunnels: dict[int, TunnelView] = {}
        self.ended: deque[TunnelView] = deque(maxlen=_ENDED_KEPT)

    def opened(self, local_tunnel_id: int, peer: Address) -> None:
        """Note a tunnel that we opened ourselves."""
        self.tunnels[local_tunnel_id] = TunnelView(local_tunnel_id, peer)

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
                tunnel.peer = event.peer
                tunnel.peer_tunnel_id = event.peer_tunnel_id
                tunnel.peer_host_name = event.peer_host_name
                tunnel.enter("established")
            case TunnelClosed():
                if closed := self.tunnels.get(event.local_tunnel_id):
                    closed.cause = event.cause
                    closed.enter("closed")
                    self.ended.append(closed)
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
            case DatagramDropped():
                if tunnel_view := self.tunnels.get(event.local_tunnel_id or 0):
                    tunnel_view.dropped[str(event.reason)] += 1

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
