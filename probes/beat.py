"""A beat for what is shown again and again, that a signal ends at once."""

import select
import signal
import socket


class Beat:
    """Turns at an interval, until SIGINT or SIGTERM, or after a number of them.

    interval_s: seconds before each turn. turns: how many, None for no end.
    """

    def __init__(self, interval_s: float, turns: int | None) -> None:
        self._interval_s, self._left = interval_s, turns
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    def __enter__(self) -> "Beat":
        self._handlers = {
            number: signal.signal(number, lambda *_: None)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno())
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def next(self) -> bool:
        """Wait for the next turn; False when there is none."""
        if self._left == 0:
            return False
        if self._left is not None:
            self._left -= 1
        ready, _, _ = select.select([self._reader], [], [], self._interval_s)
        return not ready
