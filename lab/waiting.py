"""Waiting for something with a deadline that scales, and an error that says what did not come."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

from lab.errors import LabError
from lab.pace import scaled

Found = TypeVar("Found")

_LOOK_AGAIN_S = 0.02

#: Problems cost more to look for than what is waited for, and can wait that long themselves.
_LOOK_FOR_PROBLEMS_S = 0.25


def _a_moment(left_s: float) -> None:
    select.select([], [], [], min(left_s, _LOOK_AGAIN_S))


def wait_for(
    look: Callable[[], Found | None],
    what: str,
    *,
    deadline_s: float,
    problem: Callable[[], str] = str,
    pause: Callable[[float], None] = _a_moment,
) -> Found:
    """Look until ``look`` returns something true, and return that.

    ``what`` completes “… did not come within N s”; ``problem`` says what is known of the cause, and
    an answer that is not empty ends the wait early. ``deadline_s`` is stretched by the machine's
    slowness. ``pause`` waits between two looks, at most the seconds that it is given; the default
    looks again at once, another one may know when something has changed. Raises LabError.
    """
    limit_s = scaled(deadline_s)
    now = time.monotonic()
    ends, asks = now + limit_s, now + _LOOK_FOR_PROBLEMS_S
    while not (found := look()):
        now = time.monotonic()
        if now >= min(asks, ends):
            if trouble := problem():
                raise LabError(f"{what} will not come: {trouble}")
            asks = now + _LOOK_FOR_PROBLEMS_S
        if now >= ends:
            raise LabError(f"{what} did not come within {limit_s:.0f} s")
        pause(ends - now)
    return found
