"""Ways through the links of a topology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from lab.topology import Link, Node, Topology, Tunnel


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


@dataclass(frozen=True)
class _Joint:
    """A link of a validated topology, as the names of its two nodes."""

    ends: tuple[str, ...]
    link: Link


def way_of(topology: Topology, tunnel: Tunnel) -> list[Link]:
    """Give the links that a tunnel runs over, from its LAC to its LNS."""
    joints = [_Joint(tuple(end.node for end in link.ends), link) for link in topology.links]
    return [joint.link for joint in find_path(joints, tunnel.lac, tunnel.lns)]


def nodes_on_the_way(topology: Topology, tunnel: Tunnel) -> list[Node]:
    """Give the nodes between a tunnel's ends, in the topology's order."""
    names = {end.node for link in way_of(topology, tunnel) for end in link.ends}
    return [node for node in topology.nodes if node.name in names - {tunnel.lac, tunnel.lns}]
