"""Where figures lie: slots of an array, which the programs give away and take back.

A program that meets a (netns, tunnel, session) for the first time gives it a slot and notes that
in `places`, with a number that no other stay has. Each CPU has some slots to give, and takes more
from the queue `vacant`. What lies in a slot is a session's where the number is its own: each CPU
clears its figures with the first packet of a stay, and until then has those of an earlier one.
"""

import struct

from probes.figures.events import FIGURE, FIGURE_SCALARS, PLACE, SLOTS
from probes.hooks.loader import Loaded
from probes.hooks.procfs import possible_cpus

# A CPU takes so many slots at a time where there are many: each offer costs a system call.
_AT_ONCE = 64
# It holds no more than this share of all of them.
_SHARE = 8

_SLOT = struct.Struct("=I")
_NUMBER = struct.Struct("=Q")
_NUMBER_AT = (FIGURE_SCALARS - 1) * _NUMBER.size


class Slots:
    """The slots of one loaded program; ``room`` is how many there are, and all are offered."""

    def __init__(self, maps: Loaded, room: int) -> None:
        self._maps = maps
        at_once = max(1, min(_AT_ONCE, room // (_SHARE * possible_cpus())))
        for first in range(0, room, at_once):
            maps.push("vacant", SLOTS.pack(first, min(at_once, room - first)))

    def read(self) -> dict[bytes, bytes]:
        """Give all figures by key: of each, one struct figure for each CPU."""
        found = {}
        for key, place in self._maps.entries("places"):
            number, slot = PLACE.unpack(place)
            if (value := self._maps.read("figures", _SLOT.pack(slot))) is not None:
                found[key] = of_stay(value, number)
        return found

    def count(self) -> int:
        """Say how many are taken."""
        return self._maps.count("places")

    def evict(self, key: bytes) -> bool:
        """Let a key's figures go, and its slot be another's; False when there are none."""
        place = self._maps.take("places", key)
        if place is None:
            return False
        _, slot = PLACE.unpack(place)
        self._maps.push("vacant", SLOTS.pack(slot, 1))
        return True


def of_stay(value: bytes, number: int) -> bytes:
    """Of a slot's struct figure of each CPU keep those of one stay; zeros for the others."""
    return b"".join(
        one if _NUMBER.unpack_from(one, _NUMBER_AT) == (number,) else bytes(FIGURE.size)
        for one in (value[at : at + FIGURE.size] for at in range(0, len(value), FIGURE.size))
    )
