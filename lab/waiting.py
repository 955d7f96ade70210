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


def wait_for(
    look: Callable[[], Found | None],
    what: str,
    *,
    deadline_s: float,
    problem: Callable[[], str] = str,
) -> Found:
    """Look until ``look`` returns something true, and return that.

    ``what`` completes “… did not come within N s”; ``problem`` says what is known of the cause, and
    an answer that is not empty ends the wait early. ``deadline_s`` is stretched by the machine's
    slowness. Raises LabError.
    """
    limit_s = scaled(deadline_s)
    ends = time.monotonic() + limit_s
    while not (found := look()):
        left = ends - time.monotonic()
        if trouble := problem():
            raise LabError(f"{what} will not come: {trouble}")
        if left <= 0:
            raise LabError(f"{what} did not come within {limit_s:.0f} s")
        select.select([], [], [], min(left, _LOOK_AGAIN_S))
    return found
