"""Many deadlines, of which only the soonest is ever looked at."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=int)


class Deadlines(Generic[K]):
    """One deadline per key (seconds); changing one costs a logarithm, not a scan.

    An entry on the heap counts only while `_armed` agrees with it; others are left to be popped.
    """

    __slots__ = ("_armed", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, K]] = []
        self._armed: dict[K, float] = {}

    def arm(self, key: K, at: float | None) -> None:
        """Set the key's deadline; None removes it."""
        if at is None:
            self._armed.pop(key, None)
        elif self._armed.get(key) != at:
            self._armed[key] = at
            heappush(self._heap, (at, key))

    def get_timer(self) -> float | None:
        """The soonest deadline; None when there is none."""
        heap = self._heap
        while heap:
            at, key = heap[0]
            if self._armed.get(key) == at:
                return at
            heappop(heap)
        return None

    def take_due(self, now: float) -> list[K]:
        """Remove and return the keys whose deadline has come, soonest first."""
        due: list[K] = []
        while (at := self.get_timer()) is not None and at <= now:
            _, key = heappop(self._heap)
            del self._armed[key]
            due.append(key)
        return due
