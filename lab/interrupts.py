"""Ctrl-C and its like, put off until what runs has come to an end that leaves nothing half-made."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

#: What ends a command from outside: Ctrl-C, kill, and a terminal that is closed.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While the block lasts such a signal is only noted; at the block's end it takes effect."""

    def __init__(self) -> None:
        self.heard: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in _ENDING:
            # nohup and the like have a signal ignored, and it is to stay so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.heard is signal.SIGINT:
            raise KeyboardInterrupt
        if self.heard is not None:
            raise SystemExit(128 + self.heard)

    def was_heard(self) -> bool:
        """Tell whether somebody wants this to end."""
        return self.heard is not None

    def _hear(self, number: int, _: FrameType | None) -> None:
        self.heard = signal.Signals(number)
