"""Where figures lie: slots of an array, which the programs take and the tracer clears.

A program that meets a (netns, tunnel, session) for the first time gives it a slot, and notes it in
`places`. Each CPU has some to give, and takes more from the queue `vacant`. A slot whose owner has
gone must be zero on every CPU before it is offered again, and only from here can another CPU's
figures be written.
"""

import struct

from probes.figures.events import FIGURE, PLACE, SLOTS
from probes.hooks.loader import Loaded
from probes.hooks.procfs import possible_cpus

# A CPU takes so many slots at a time where there are many: each offer costs a system call.
_AT_ONCE = 64
# It holds no more than this share of all of them.
_SHARE = 8

_SLOT = struct.Struct("=I")


class Slots:
    """The slots of one loaded program; ``room`` is how many there are, and all are offered."""

    def __init__(self, maps: Loaded, room: int) -> None:
        self._maps = maps
        self._nothing = bytes(FIGURE.size * possible_cpus())
        at_once = max(1, min(_AT_ONCE, room // (_SHARE * possible_cpus())))
        for first in range(0, room, at_once):
            maps.push("vacant", SLOTS.pack(first, min(at_once, room - first)))

    def take_back(self) -> None:
        """Offer what was left."""
        while left := self._maps.pop("left"):
            self._clear(left)

    def read(self) -> dict[bytes, bytes]:
        """Give all figures by key: of each, one struct figure for each CPU."""
        found = {}
        for key, place in self._maps.entries("places"):
            _, slot = PLACE.unpack(place)
            if (value := self._maps.read("figures", _SLOT.pack(slot))) is not None:
                found[key] = value
        return found

    def count(self) -> int:
        """Say how many are taken."""
        return self._maps.count("places")

    def evict(self, key: bytes) -> bool:
        """Let a key's figures go, and its slot be another's; False when there are none."""
        place = self._maps.read("places", key)
        if place is None or not self._maps.delete("places", key):
            return False
        _, slot = PLACE.unpack(place)
        self._clear(_SLOT.pack(slot))
        return True

    def _clear(self, slot: bytes) -> None:
        self._maps.write("figures", slot, self._nothing)
        (first,) = _SLOT.unpack(slot)
        self._maps.push("vacant", SLOTS.pack(first, 1))
