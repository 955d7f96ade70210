"""Records that others can cause: the first ones as they are, the rest of a flood as a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from l2tp.log import EventLog

_WINDOW_S: Final = 10.0
_RECORDS_A_WINDOW: Final = 20

CallLater = Callable[[float, Callable[[], None]], object]


@dataclass(slots=True)
class _Window:
    records: int = 0
    left_out: int = 0


class FloodLog:
    """Admits so many records of each event and reason in a stretch of time, counts the others.

    A flood must fill no disk. What was left out is told at the end of the stretch, as
    "RecordsLeftOut"; ``call_later`` is the event loop's.
    """

    def __init__(
        self,
        log: EventLog,
        call_later: CallLater,
        *,
        records: int = _RECORDS_A_WINDOW,
        window_s: float = _WINDOW_S,
    ) -> None:
        self._log = log
        self._call_later = call_later
        self._records = records
        self._window_s = window_s
        self._windows: dict[tuple[str, str], _Window] = {}

    def admits(self, event: str, reason: str) -> bool:
        """Tell whether to write one more record; ``reason`` is one of few, whoever sends what."""
        key = event, reason
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window()
            self._call_later(self._window_s, lambda: self._end(key))
        is_admitted = window.records < self._records
        window.records += is_admitted
        window.left_out += not is_admitted
        return is_admitted

    def close(self) -> None:
        """Tell what was left out so far."""
        for key in tuple(self._windows):
            self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        window = self._windows.pop(key, None)
        if window is not None and window.left_out:
            event, reason = key
            self._log.write("RecordsLeftOut", of=event, reason=reason, count=window.left_out)
