"""Waiting for what only a daemon's transactions change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Condition = Callable[[], bool]


class Conditions:
    """Conditions that somebody waits for, looked at after each transaction."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[Condition, asyncio.Future[None]]] = []

    async def until(self, condition: Condition) -> None:
        """Wait until the condition holds."""
        if not condition():
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append((condition, future))
            await future

    def look(self) -> None:
        """Wake those whose condition holds now."""
        for entry in tuple(self._waiting):
            condition, future = entry
            if future.done() or condition():
                self._waiting.remove(entry)
                if not future.done():
                    future.set_result(None)
