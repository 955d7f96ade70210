"""From a topology to an ordered list of things to make; pure, and printable before it is run.

A step says what shall exist, not how: ``netns`` makes it real, ``memory_world`` makes it in memory.
What undoes a step is in ``UNDO``: whatever lives inside a namespace goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.network.settings import node_sysctls
from lab.topology import Impairment, Topology, netns_name, to_json

RUNTIME = Path("/run/l2tp-lab")
"""Where running labs keep their state."""

FIRST_INDEX = 101
"""Indices of our interfaces begin here, clear of lo and of what modules such as sit put into every
new namespace."""

OWN_NAME = ("namesfolder", "netns", "veth", "process")
"""The kinds that need a ledger entry; all others live inside one of these, or in our folder."""


@dataclass(frozen=True)
class NamesFolder:
    """The folder that holds the names of namespaces, mounted the way ``ip netns`` wants it."""

    path: str = "/run/netns"


@dataclass(frozen=True)
class Netns:
    """A named network namespace, with its loopback up."""

    name: str


@dataclass(frozen=True)
class Sysctl:
    """One setting inside a namespace; ``key`` is written with dots, interfaces included."""

    netns: str
    key: str
    value: str


@dataclass(frozen=True)
class Veth:
    """A veth pair, each end made right inside its namespace, with an index of its own.

    Two ends with the same index look like no pair at all to the kernel, which then lets up to a
    second pass before it calls their link up (net/core/link_watch.c: linkwatch_urgent_event).
    """

    netns: str
    interface: str
    index: int
    peer_netns: str
    peer_interface: str
    peer_index: int
    mtu: int


@dataclass(frozen=True)
class Address:
    """An address such as ``192.0.2.1/24`` on an interface, usable at once (no DAD)."""

    netns: str
    interface: str
    address: str


@dataclass(frozen=True)
class LinkUp:
    """An interface set up."""

    netns: str
    interface: str


@dataclass(frozen=True)
class Route:
    """A static route through a next hop."""

    netns: str
    to: str
    via: str


@dataclass(frozen=True)
class Netem:
    """A netem queue discipline at an interface's root."""

    netns: str
    interface: str
    impairment: Impairment


@dataclass(frozen=True)
class Folder:
    """A folder inside the lab's runtime folder."""

    path: str
    mode: int = 0o700


@dataclass(frozen=True)
class File:
    """A file inside the lab's runtime folder."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True)
class Ruleset:
    """Rules of nftables inside a namespace, read from a file that is there already."""

    netns: str
    path: str


@dataclass(frozen=True)
class Process:
    """A long-running process; ``netns`` None means the namespace that the lab itself runs in."""

    name: str
    netns: str | None
    argv: tuple[str, ...]
    log: str


Step = (
    NamesFolder
    | Netns
    | Sysctl
    | Veth
    | Address
    | LinkUp
    | Route
    | Netem
    | Folder
    | File
    | Ruleset
    | Process
)
"""Anything that a plan makes."""


def kind_of(step: Step) -> str:
    """Name a step's kind, as the ledger writes it."""
    return type(step).__name__.lower()


@dataclass(frozen=True)
class Group:
    """Steps that are made together, in one batch."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """All that a lab makes, in order; undone in the opposite order."""

    lab: str
    runtime: str
    groups: tuple[Group, ...]

    def steps(self) -> Iterator[Step]:
        """Give every step, in the order of making."""
        for group in self.groups:
            yield from group.steps


def runtime_folder(lab: str) -> Path:
    """Name the folder that holds a running lab's state."""
    return RUNTIME / lab


def make_plan(
    topology: Topology,
    *,
    lab: str = "lab",
    runtime: Path | None = None,
    files: tuple[Folder | File, ...] = (),
    rulesets: tuple[Ruleset, ...] = (),
    processes: tuple[Process, ...] = (),
    tracer: Process | None = None,
) -> Plan:
    """Lay out the network of ``topology`` for the lab ``lab``.

    ``files``, ``rulesets`` and ``processes`` (``lab.running`` makes them) come after the network,
    ``tracer`` before it: it takes longest to start, and needs nothing of the rest. ``runtime``
    defaults to the lab's own folder under /run.
    """
    folder = runtime or runtime_folder(lab)
    saved = File(str(folder / "topology.json"), to_json(topology), 0o600)
    groups = (
        Group("tracer started", () if tracer is None else (tracer,)),
        Group("names of namespaces", (NamesFolder(),)),
        Group("namespaces", tuple(Netns(netns_name(lab, node.name)) for node in topology.nodes)),
        Group("settings", tuple(_settings(topology, lab))),
        Group("links", tuple(_links(topology, lab))),
        Group("addresses and routes", tuple(_inside(topology, lab))),
        Group("impairments", tuple(_impairments(topology, lab))),
        Group("files", (saved, *files)),
        Group("packet filters", rulesets),
        Group("processes", processes),
    )
    return Plan(lab, str(folder), tuple(group for group in groups if group.steps))


def _settings(topology: Topology, lab: str) -> Iterator[Step]:
    for node in topology.nodes:
        for key, value in node_sysctls(node):
            yield Sysctl(netns_name(lab, node.name), key, value)


def _links(topology: Topology, lab: str) -> Iterator[Step]:
    for number, link in enumerate(topology.links):
        first, second = link.ends
        index = FIRST_INDEX + 2 * number
        yield Veth(
            netns_name(lab, first.node),
            first.interface,
            index,
            netns_name(lab, second.node),
            second.interface,
            index + 1,
            link.mtu,
        )


def _inside(topology: Topology, lab: str) -> Iterator[Step]:
    for node in topology.nodes:
        netns = netns_name(lab, node.name)
        yield LinkUp(netns, "lo")
        for link in topology.links:
            for end in link.ends:
                if end.node == node.name:
                    for address in end.addresses:
                        yield Address(netns, end.interface, address)
                    yield LinkUp(netns, end.interface)
        for route in node.routes:
            yield Route(netns, route.to, route.via)


def _impairments(topology: Topology, lab: str) -> Iterator[Step]:
    for link in topology.links:
        for end in link.ends:
            if end.impairment is not None:
                yield Netem(netns_name(lab, end.node), end.interface, end.impairment)
