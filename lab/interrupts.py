"""Ctrl-C and its like: put off until nothing is half-made; and one for a reader that has gone."""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def interrupted_when_unread(output: int = 1) -> Iterator[None]:
    """Send ourselves a Ctrl-C when whoever reads our output has gone (head), for live commands.

    What is silent would never notice, and what writes elsewhere, over SSH, is not told.
    """
    try:
        mode = os.fstat(output).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        yield
        return
    reader, writer = os.pipe()
    watcher = threading.Thread(target=_watch, args=(output, reader), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        os.close(writer)
        watcher.join()
        os.close(reader)


def _watch(output: int, until_closed: int) -> None:
    poll = select.poll()
    poll.register(output, 0)  # errors alone, which always come
    poll.register(until_closed, 0)
    told = dict(poll.poll())
    if told.get(output, 0) & (select.POLLERR | select.POLLHUP) and until_closed not in told:
        os.kill(os.getpid(), signal.SIGINT)
