"""How slow this machine is, so that deadlines scale with it."""

from __future__ import annotations

import time
from functools import cache

#: What the loop below takes on an ordinary box, in seconds: short, for every command runs it.
_ORDINARY_S = 0.001
_ROUNDS = 20_000


@cache
def slowness() -> float:
    """Return how many times slower than an ordinary box this machine computes; at least 1."""
    started = time.perf_counter()
    total = 0
    for number in range(_ROUNDS):
        total += number
    return max(1.0, (time.perf_counter() - started) / _ORDINARY_S)


def scaled(seconds: float) -> float:
    """Stretch a deadline, in seconds, by this machine's slowness."""
    return seconds * slowness()
