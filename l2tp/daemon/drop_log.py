"""Dropped datagrams in the log: the first ones as they are, the rest of a flood as a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from l2tp.log import EventLog
from l2tp.protocol.events import DatagramDropped, DropReason

_WINDOW_S: Final = 10.0
_RECORDS_A_WINDOW: Final = 20


@dataclass(slots=True)
class _Window:
    began_at: float
    records: int = 0
    unlogged: int = 0


class DropLog:
    """Writes so many records of each reason in a stretch of time, and how many it left out.

    A flood must fill no disk; every datagram is counted by the endpoint all the same.
    """

    def __init__(
        self, log: EventLog, *, records: int = _RECORDS_A_WINDOW, window_s: float = _WINDOW_S
    ) -> None:
        self._log = log
        self._records = records
        self._window_s = window_s
        self._windows: dict[DropReason, _Window] = {}

    def write(self, event: DatagramDropped, now: float) -> None:
        """Record a drop, or count it for the record of its reason that opens the next window."""
        window = self._windows.setdefault(event.reason, _Window(now))
        unlogged = 0
        if now - window.began_at >= self._window_s:
            unlogged = window.unlogged
            window = self._windows[event.reason] = _Window(now)
        if window.records >= self._records:
            window.unlogged += 1
            return
        window.records += 1
        more = {"unlogged_before": unlogged} if unlogged else {}
        self._log.write_event(event, **more)
