"""Tunnel and session ids: which one is assigned next."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from l2tp.protocol.constants import MAXIMUM_ID
from l2tp.protocol.errors import LocalProtocolError

_ID_ATTEMPTS: Final = 64


def choose_id(random: Random, taken: Callable[[int], bool]) -> int:
    """A random id from 1 to 65535 that is not `taken`; zero is never assigned (RFC 2661 §3.1)."""
    for _ in range(_ID_ATTEMPTS):
        candidate = random.randint(1, MAXIMUM_ID)
        if not taken(candidate):
            return candidate
    # So full that guessing does not help: take the next free one, round the ring.
    start = random.randint(1, MAXIMUM_ID)
    for step in range(MAXIMUM_ID):
        candidate = (start + step - 1) % MAXIMUM_ID + 1
        if not taken(candidate):
            return candidate
    raise LocalProtocolError("every id from 1 to 65535 is taken", section="§3.1")
