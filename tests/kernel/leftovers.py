"""What a test could leave behind in the kernel, and what the kernel's log said meanwhile.

Everything is read from /proc, /sys and /run, without a subprocess: looking takes some hundredths of
a second even under emulation, and is done before and after every test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from lab.network.namespaces import FOLDER, in_netns
from tests.kernel.kernel_log import KernelLog

HERE = ""
"""Stands for the namespace that the tests run in, where others have their names."""

# Every PPPoL2TP socket of any namespace holds its module (net/socket.c and net/core/sock.c do, each
# once), and every open /dev/ppp its own. Modules that build on these do as well, and do not count.
_HELD_MODULES = {"l2tp_ppp": "PPPoL2TP sockets", "ppp_generic": "open /dev/ppp"}
_PROC_NET = Path("/proc/thread-self/net")


class Thing(NamedTuple):
    """One object: the namespace it is in (HERE, a name, or an inode number), and what it is."""

    netns: str
    words: str


class Holdings(NamedTuple):
    """What there is at one moment: namespaces, things in them, and what only counts show."""

    namespaces: Set[str]
    things: Set[Thing]
    held: Mapping[str, int]

    @classmethod
    def now(cls) -> Self:
        """Look at every namespace that has a name, the tests' own, and every process."""
        names = _named_namespaces()
        things = set(_in_namespace(HERE))
        for name in names:
            handle = -1
            with suppress(OSError):  # it may go while we look
                handle = os.open(FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
                things |= in_netns(handle, lambda name=name: set(_in_namespace(name)))
            if handle >= 0:
                os.close(handle)
        by_inode = {number: name for name, number in names.items()}
        by_inode[Path("/proc/self/ns/net").stat().st_ino] = HERE
        things |= set(_of_processes(by_inode))
        return cls(frozenset(f"{n} ({i})" for n, i in names.items()), frozenset(things), _held())

    def left(self, before: Holdings, kept: Set[str] = frozenset()) -> list[str]:
        """Say what is here that was not there before.

        ``kept`` are namespaces that live on by right, with all that is in them: those of a lab
        that a whole module of tests uses. While there are any, sockets are not counted, for the
        count does not tell whose they are.
        """
        names = {name.partition(" ")[0] for name in kept}
        left = [f"namespace {name}" for name in sorted(self.namespaces - before.namespaces)]
        left += [
            f"{thing.words} in {thing.netns or 'the namespace of the tests'}"
            for thing in sorted(self.things - before.things)
            if thing.netns not in names
        ]
        if not kept:
            left += [
                f"{_HELD_MODULES[module]}: {count - before.held[module]} holds on module {module}"
                for module, count in self.held.items()
                if count > before.held.get(module, count)
            ]
        return left


def _named_namespaces() -> dict[str, int]:
    names = {}
    for entry in os.scandir(FOLDER) if FOLDER.is_dir() else ():
        with suppress(OSError):
            names[entry.name] = entry.stat().st_ino
    return names


def _in_namespace(name: str) -> Iterator[Thing]:
    """Give what this thread's namespace has of L2TP, PPP and UDP (v3 tunnels show as UDP alone)."""
    for line in _lines("pppol2tp"):
        if line.lstrip().startswith(("TUNNEL '", "SESSION '")):
            yield Thing(name, "the driver's " + line.strip().partition(",")[0].partition(" 0")[0])
    for line in _lines("dev")[2:]:
        if line.lstrip().startswith("ppp"):
            yield Thing(name, f"interface {line.partition(':')[0].strip()}")
    for table in ("udp", "udp6"):
        for line in _lines(table)[1:]:
            words = line.split()
            yield Thing(name, f"{table} socket {words[1]} (inode {words[9]})")


def _lines(table: str) -> list[str]:
    try:
        return (_PROC_NET / table).read_text().splitlines()
    except OSError:  # the module that has it is not loaded yet
        return []


def _of_processes(names: Mapping[int, str]) -> Iterator[Thing]:
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it ended while we looked
            inode = os.stat(f"{entry.path}/ns/net").st_ino  # noqa: PTH116 (see _read)
            comm = _read(f"{entry.path}/comm").strip()
            if comm == "pppd" or inode not in names:
                yield Thing(names.get(inode, str(inode)), f"process {comm} ({entry.name})")


def _read(path: str) -> str:
    """Read a small file; a Path for each process would take most of the time of a look."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, 64).decode(errors="replace")
    finally:
        os.close(handle)


def _held() -> dict[str, int]:
    held = {}
    for module in _HELD_MODULES:
        with suppress(OSError):
            folder = f"/sys/module/{module}"
            held[module] = int(_read(f"{folder}/refcnt")) - len(
                list(os.scandir(f"{folder}/holders"))
            )
    return held


class Watch:
    """Looks when it is made, and says later what is left and what the kernel complained of.

    Namespaces made after ``since`` are kept by right: they belong to a fixture of the module.
    """

    def __init__(self, log: KernelLog, since: Holdings | None = None) -> None:
        self._log = log
        self._log.skip()
        self.before = Holdings.now()
        self._kept = self.before.namespaces - since.namespaces if since else frozenset()

    def left(self) -> list[str]:
        """Say what is there now that was not."""
        return Holdings.now().left(self.before, self._kept)

    def complaints(self) -> list[str]:
        """Say what the kernel's log got meanwhile that it should not have."""
        return self._log.complaints()
