"""Ways through the links of a topology."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Joins(Protocol):
    """Anything that joins two nodes."""

    @property
    def ends(self) -> Sequence[str]:
        """The names of the two nodes."""


AnyLink = TypeVar("AnyLink", bound=Joins)


def find_path(links: Sequence[AnyLink], start: str, goal: str) -> list[AnyLink]:
    """Find the links of a shortest way, in order; empty when there is none."""
    ways: dict[str, list[AnyLink]] = {start: []}
    frontier = [start]
    while frontier and goal not in ways:
        reached: list[str] = []
        for node in frontier:
            for link in links:
                if node in link.ends:
                    other = link.ends[1] if link.ends[0] == node else link.ends[0]
                    if other not in ways:
                        ways[other] = [*ways[node], link]
                        reached.append(other)
        frontier = reached
    return ways.get(goal, [])
