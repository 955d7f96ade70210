"""Calls that were lost and are placed again, later each time until one comes up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from l2tp.config.settings import CallConfig, RedialConfig, TunnelConfig
from l2tp.log import EventLog
from l2tp.protocol.errors import L2tpError

Place = Callable[[TunnelConfig, CallConfig], None]
Key = tuple[str, CallConfig]

_MOST_DOUBLINGS: Final = 30


@dataclass(slots=True)
class _Waiting:
    attempts: int = 0
    timer: asyncio.TimerHandle | None = None


class Redial:
    """Places lost calls again: after ``first_s``, then twice as long, up to ``longest_s``."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, log: EventLog, config: RedialConfig, place: Place
    ) -> None:
        self._loop = loop
        self._log = log
        self._config = config
        self._place = place
        self._calls: dict[Key, _Waiting] = {}

    def reconfigure(self, config: RedialConfig, tunnels: tuple[TunnelConfig, ...]) -> None:
        """Wait as ``config`` says from now on, and only for calls that are configured still."""
        self._config = config
        configured = {(tunnel.name, call) for tunnel in tunnels for call in tunnel.calls}
        for key in [key for key in self._calls if key not in configured]:
            self._forget(key)

    def lost(self, tunnel: TunnelConfig, call: CallConfig) -> None:
        """Place a call again after its time; give up at the configured number of attempts."""
        waiting = self._calls.setdefault((tunnel.name, call), _Waiting())
        if waiting.timer is not None:
            return
        limit = self._config.attempts
        if limit and waiting.attempts >= limit:
            self._log.write("RedialGivenUp", tunnel=tunnel.name, user=call.user, attempts=limit)
            del self._calls[tunnel.name, call]
            return
        delay_s = min(
            self._config.first_s * 2.0 ** min(waiting.attempts, _MOST_DOUBLINGS),
            self._config.longest_s,
        )
        waiting.attempts += 1
        self._log.write(
            "RedialPlanned",
            tunnel=tunnel.name,
            user=call.user,
            attempt=waiting.attempts,
            delay_s=delay_s,
        )
        waiting.timer = self._loop.call_later(delay_s, self._dial, tunnel, call, waiting)

    def up(self, tunnel: TunnelConfig, call: CallConfig) -> None:
        """Note that a call is up: a later loss begins from the first wait again."""
        self._forget((tunnel.name, call))

    def close(self) -> None:
        """Place nothing any more."""
        for key in list(self._calls):
            self._forget(key)

    def _forget(self, key: Key) -> None:
        waiting = self._calls.pop(key, None)
        if waiting is not None and waiting.timer is not None:
            waiting.timer.cancel()

    def _dial(self, tunnel: TunnelConfig, call: CallConfig, waiting: _Waiting) -> None:
        waiting.timer = None
        try:
            self._place(tunnel, call)
        except L2tpError as error:
            self._log.write("RedialFailed", tunnel=tunnel.name, user=call.user, cause=str(error))
            self.lost(tunnel, call)
