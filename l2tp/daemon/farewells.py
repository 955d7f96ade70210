"""Sessions whose PPP the peer has ended: its CDN, which says why, is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Farewells:
    """Gives a peer the time to hang up itself, where its LCP Terminate-Request came first.

    LCP does not say why it ends (RFC 1661 §5.5), a CDN does (RFC 2661 §4.4.2, RFC 3145): hung up
    at once by us, the session would end with a cause that is only a guess.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._awaited: dict[tuple[int, int], asyncio.TimerHandle] = {}

    def wait(self, ids: tuple[int, int], patience_s: float, give_up: Callable[[], None]) -> None:
        """Wait for the CDN of this session (tunnel and session id), but no longer than that."""
        self._awaited[ids] = self._loop.call_later(patience_s, give_up)

    def forget(self, ids: tuple[int, int]) -> None:
        """Wait no more for a session, whether or not we did: it has ended."""
        timer = self._awaited.pop(ids, None)
        if timer is not None:
            timer.cancel()
