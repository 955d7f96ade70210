"""The sans-IO front of the protocol core: datagrams, calls and time in; datagrams, events out.

No method reads a clock or a socket: `now` is always seconds of one monotonic clock. After every
call drain `next_event()`, then send `datagrams_to_send()`, then arm one timer for `get_timer()`.
Events come first because sending a SCCRP or an ICCN needs the sockets that the events ask for.
"""

from __future__ import annotations

import random as random_module
from collections import Counter

from l2tp.errors import HANG_UP, SHUTDOWN, ResultCode
from l2tp.events import DropReason, Event
from l2tp.parameters import Address, CallParameters, Datagram, EndpointConfig

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
    """Every tunnel of one LAC or LNS, in both roles (RFC 2661 §5)."""

    def __init__(self, config: EndpointConfig, *, random: random_module.Random) -> None:
        self.config = config
        self.dropped: Counter[DropReason] = Counter()
        self._random = random

    def open_tunnel(self, peer: Address, now: float, *, secret: bytes | None = None) -> int:
        """Open a control connection to `peer` with a SCCRQ; returns the local tunnel id."""
        raise NotImplementedError

    def close_tunnel(self, local_tunnel_id: int, now: float, result: ResultCode = SHUTDOWN) -> None:
        """Send a StopCCN, which ends every session too; a tunnel already closed stays so."""
        raise NotImplementedError

    def place_call(self, local_tunnel_id: int, now: float, call: CallParameters) -> int:
        """As LAC, offer an incoming call (ICRQ, once the tunnel is up); returns its id."""
        raise NotImplementedError

    def accept_call(self, local_tunnel_id: int, local_session_id: int, now: float) -> None:
        """As LNS, take the call that CallRequested reported (ICRP)."""
        raise NotImplementedError

    def reject_call(
        self, local_tunnel_id: int, local_session_id: int, now: float, result: ResultCode
    ) -> None:
        """As LNS, refuse the call that CallRequested reported (CDN)."""
        raise NotImplementedError

    def hang_up(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        now: float,
        result: ResultCode = HANG_UP,
    ) -> None:
        """End a session with a CDN; one already gone stays gone."""
        raise NotImplementedError

    def note_network_error(self, local_tunnel_id: int, text: str) -> None:
        """Remember what the tunnel's socket reported, so that a dead peer's cause names it."""
        raise NotImplementedError

    def has_unacknowledged(self, local_tunnel_id: int) -> bool:
        """Whether the peer still owes an acknowledgement; false for an unknown tunnel."""
        raise NotImplementedError

    def receive_datagram(
        self, data: bytes, source: Address, now: float, *, local_tunnel_id: int | None = None
    ) -> None:
        """Take one datagram; `local_tunnel_id` is the socket's tunnel, None the listener's."""
        raise NotImplementedError

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`: retransmit, acknowledge, say HELLO, give up, release."""
        raise NotImplementedError

    def get_timer(self) -> float | None:
        """When handle_timer() must be called next; None when nothing is pending."""
        raise NotImplementedError

    def datagrams_to_send(self) -> list[Datagram]:
        """Take the datagrams that are due, in order; the list is then empty again."""
        raise NotImplementedError

    def next_event(self) -> Event | None:
        """Take the oldest event; None when there is none left."""
        raise NotImplementedError
