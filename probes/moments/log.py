"""Keeps what happened to tunnels and sessions, for whoever draws a timeline of it."""

import struct
import time
from collections import deque
from collections.abc import Callable
from typing import TypedDict

from probes.hooks.loader import Loaded
from probes.hooks.ringbuf import RingBuffer
from probes.hooks.state import HookState
from probes.moments.events import RECORD, MomentRow, row_of

# Room for 450 moments between two looks, and for so many altogether; the oldest are forgotten.
RING_OCTETS = 1 << 18
MAX_MOMENTS = 8192

#: The hooks that tell moments, by name: of a timeline nothing is missing without the others.
HOOKS = frozenset({
    "l2tp_udp_encap_recv", "pppol2tp_recv", "l2tp_xmit_skb",
    "register_tunnel", "delete_tunnel", "free_tunnel",
    "register_session", "delete_session", "free_session",
    "session_pkt_oos", "session_pkt_expired", "session_pkt_outside_rx_window",
})  # fmt: skip
_COUNT = struct.Struct("=Q")


class Moments(TypedDict):
    """What the tracer answers when asked for moments.

    since_ns: when the last hook was attached (CLOCK_MONOTONIC); before it nothing was seen.
    following: the number to ask after next time. forgotten: how many are no
    longer kept; lost: for how many the buffer had no room.
    """

    moments: list[MomentRow]
    since_ns: int
    following: int
    forgotten: int
    lost: int
    hooks: list[HookState]


class MomentLog:
    """What the tracer's programs tell of rare things (bpf/moments.h), kept.

    maps: of the program that tells them. hooks: says what that is attached to.
    """

    def __init__(self, maps: Loaded, hooks: Callable[[], list[HookState]]) -> None:
        self._maps = maps
        self._hooks = hooks
        self._ring = RingBuffer(maps.map_fd("moments"), RING_OCTETS, RECORD)
        self._since_ns = time.monotonic_ns()
        self._kept: deque[MomentRow] = deque(maxlen=MAX_MOMENTS)
        self._number = 0

    def drain(self) -> None:
        """Take over what has happened, before the buffer is full."""
        for record in self._ring.drain():
            self._kept.append(row_of(record))
            self._number += 1

    def after(self, number: int) -> Moments:
        """Give what happened after the first so many moments."""
        self.drain()
        first = self._number - len(self._kept)
        wanted = list(self._kept)[max(0, number - first) :]
        lost = sum(
            count
            for _, value in self._maps.entries("moments_lost")
            for (count,) in _COUNT.iter_unpack(value)
        )
        return Moments(
            moments=wanted,
            since_ns=self._since_ns,
            following=self._number,
            forgotten=max(0, first - number),
            lost=lost,
            hooks=[hook for hook in self._hooks() if hook["name"] in HOOKS],
        )

    def close(self) -> None:
        """Let the memory go. May be called again."""
        self._ring.close()
