"""A world in memory: keeps the promises of ``world.World``, without root and without a kernel.

It can be rebooted and its maker killed, and it holds what others have put there too; so tests ask
it what the kernel's world is asked, and look inside afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lab.errors import LabError
from lab.network.plan import (
    Address,
    LinkUp,
    NamesFolder,
    Netem,
    Netns,
    Process,
    Route,
    Step,
    Sysctl,
    Veth,
)
from lab.network.world import ABSENT, FOREIGN, REMOVED, Entry, Identity, Removal


@dataclass(slots=True)
class Namespace:
    """A namespace; ``cookie`` is never given twice, ``inode`` is."""

    cookie: int
    inode: int
    links: set[str] = field(default_factory=lambda: {"lo"})
    contents: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Living:
    """A process: the mark that it carries, and the namespace that it lives in."""

    mark: str
    netns: str | None
    start_ticks: int


def _nothing(_: str) -> None:
    return None


@dataclass(slots=True)
class MemoryWorld:
    """``before`` is called with a word before every single change, and may raise."""

    before: Callable[[str], None] = _nothing
    names: dict[str, Namespace] = field(default_factory=dict)
    processes: dict[int, Living] = field(default_factory=dict)
    nameless: dict[str, Namespace] = field(default_factory=dict)
    boots: int = 1
    ticks: int = 0
    run: str = ""

    def reboot(self) -> None:
        """Lose everything that lives in a kernel, and begin counting anew."""
        self.names.clear()
        self.processes.clear()
        self.nameless.clear()
        self.boots += 1
        self.ticks = 0

    def kill_maker(self) -> None:
        """Lose what only the maker's descriptors kept alive."""
        self.nameless.clear()

    def boot_id(self) -> str:
        """Tell one boot from another."""
        return f"boot-{self.boots}"

    def occupied(self, steps: Sequence[Step]) -> list[str]:
        """Name the namespaces that exist already."""
        return [
            f"a network namespace {step.name} exists already"
            for step in steps
            if isinstance(step, Netns) and step.name in self.names
        ]

    def reserve(self, steps: Sequence[Step], run: str) -> list[Identity]:
        """Make nameless namespaces for those that need one."""
        self.run = run
        return [self._reserve(step) for step in steps]

    def _reserve(self, step: Step) -> Identity:
        if not isinstance(step, Netns):
            return {}
        self.before("reserve")
        self.ticks += 1
        # The lowest free number, as the kernel gives inode numbers: a later one may get it again.
        used = {netns.inode for netns in (*self.names.values(), *self.nameless.values())}
        inode = next(number for number in range(1, len(used) + 2) if number not in used)
        self.nameless[step.name] = Namespace(cookie=self.ticks, inode=inode)
        return {"inode": inode, "cookie": self.ticks}

    def make(self, steps: Sequence[Step]) -> list[Identity]:
        """Make a reserved group, one step after another."""
        return [self._make(step) for step in steps]

    def _make(self, step: Step) -> Identity:
        self.before("make")
        self.ticks += 1
        match step:
            case Netns():
                if step.name in self.names:
                    raise LabError(f"a network namespace {step.name} exists already")
                self.names[step.name] = self.nameless.pop(step.name)
            case Veth():
                self._add_link(step.netns, step.interface)
                self._add_link(step.peer_netns, step.peer_interface)
            case Sysctl() | Address() | LinkUp() | Route() | Netem():
                self._check_link(step)
                self.names[step.netns].contents.append(step)
            case Process():
                pid = 1000 + self.ticks
                self.processes[pid] = Living(self.run, step.netns, self.ticks)
                self.before("made")
                return {"pid": pid, "start_ticks": self.ticks}
            case _:
                pass  # files and folders lie in the runtime folder, which is real
        return {}

    def _add_link(self, netns: str, interface: str) -> None:
        links = self.names[netns].links
        if interface in links:
            raise LabError(f"{netns} has an interface {interface} already")
        links.add(interface)

    def _check_link(self, step: Sysctl | Address | LinkUp | Route | Netem) -> None:
        links = self.names[step.netns].links
        if isinstance(step, Address | LinkUp | Netem) and step.interface not in links:
            raise LabError(f"{step.netns} has no interface {step.interface}")

    def adopt(self, entries: Sequence[Entry], run: str) -> None:
        """Remember the run's mark; namespaces are found by name here."""
        self.run = run

    def remove(self, entries: Sequence[Entry], *, run: str, same_boot: bool) -> list[Removal]:
        """Remove what is ours: processes, then links, then namespaces."""
        if same_boot:
            for pid in [pid for pid, living in self.processes.items() if living.mark == run]:
                self.before("remove")
                del self.processes[pid]
        order = ("process", "veth", "netns", NamesFolder.__name__.lower())
        ordered = sorted(entries, key=lambda entry: order.index(entry.kind))
        return [self._remove(entry, entries, same_boot) for entry in ordered]

    def _remove(self, entry: Entry, entries: Sequence[Entry], same_boot: bool) -> Removal:
        self.before("remove")
        if entry.kind == "netns":
            return self._remove_netns(entry, same_boot)
        if entry.kind == "veth":
            return self._remove_veth(entry, entries, same_boot)
        return Removal(entry, REMOVED if same_boot else ABSENT)

    def _remove_veth(self, entry: Entry, entries: Sequence[Entry], same_boot: bool) -> Removal:
        ours = {e.step["name"] for e in entries if e.kind == "netns" and self._is_ours(e)}
        if not same_boot or entry.step["netns"] not in ours:
            return Removal(entry, ABSENT)
        self.names[entry.step["netns"]].links.discard(entry.step["interface"])
        peer = self.names.get(entry.step["peer_netns"])
        if peer is not None:
            peer.links.discard(entry.step["peer_interface"])
        return Removal(entry, REMOVED)

    def _remove_netns(self, entry: Entry, same_boot: bool) -> Removal:
        name = entry.step["name"]
        if name not in self.names:
            return Removal(entry, ABSENT)
        if not same_boot or not self._is_ours(entry):
            return Removal(entry, FOREIGN, f"{name} is not this lab's; it is left alone")
        del self.names[name]
        return Removal(entry, REMOVED)

    def _is_ours(self, entry: Entry) -> bool:
        netns = self.names.get(entry.step["name"])
        return netns is not None and netns.cookie == entry.identity["cookie"]
