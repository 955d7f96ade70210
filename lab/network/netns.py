"""Makes plans real in this kernel, and takes away again what the ledger proves to be ours.

Namespaces have their own file, ``names``; links and what is on them ``links``; processes
``processes``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

from lab.errors import CannotRun, LabError
from lab.network.filters import load_ruleset
from lab.network.links import Inside, make_inside, make_links, unlink
from lab.network.names import (
    Reserved,
    folder_identity,
    give_back,
    is_taken,
    make_folder,
    open_own,
    remove_folder,
    reserve_name,
    take_name,
    taken,
)
from lab.network.namespaces import in_netns
from lab.network.plan import (
    File,
    Folder,
    NamesFolder,
    Netns,
    Process,
    Ruleset,
    Step,
    Sysctl,
    Veth,
)
from lab.network.processes import (
    PATIENCE_S,
    Running,
    inhabitants,
    marked_processes,
    start_process,
    stop_processes,
)
from lab.network.world import ABSENT, REMOVED, STUCK, Entry, Identity, Removal
from lab.pace import scaled

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class KernelWorld:
    """This kernel. ``patience_s`` is how long processes may take to end; by default it scales."""

    def __init__(self, *, patience_s: float | None = None) -> None:
        self._patience_s = patience_s
        self._files: dict[str, int] = {}
        self._handles: dict[str, int] = {}
        self._run = ""

    def __enter__(self) -> KernelWorld:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all descriptors; named namespaces stay, nameless ones vanish."""
        for handle in (*self._files.values(), *self._handles.values()):
            os.close(handle)
        self._files.clear()
        self._handles.clear()

    def boot_id(self) -> str:
        """Read the kernel's random identity of this boot."""
        return BOOT_ID.read_text().strip()

    def occupied(self, steps: Sequence[Step]) -> list[str]:
        """Name the namespaces that exist already."""
        return [taken(s.name) for s in steps if isinstance(s, Netns) and is_taken(s.name)]

    def reserve(self, steps: Sequence[Step], run: str) -> list[Identity]:
        """Make nameless namespaces for those that need one; see ``lab.network.world.World``."""
        self._run = run
        return [self._reserve(step) for step in steps]

    def _reserve(self, step: Step) -> Identity:
        if isinstance(step, NamesFolder):
            return folder_identity()
        if isinstance(step, Netns):
            reserved, identity = reserve_name()
            self._handles[step.name], self._files[step.name] = reserved
            return identity
        return {}

    def make(self, steps: Sequence[Step]) -> list[Identity]:
        """Make a reserved group; the steps of one group may be made in any order."""
        self._set_sysctls([s for s in steps if isinstance(s, Sysctl)])
        make_links([s for s in steps if isinstance(s, Veth)], self._handle)
        make_inside([s for s in steps if isinstance(s, Inside)], self._handle)
        return [self._make(step) for step in steps]

    def _make(self, step: Step) -> Identity:
        match step:
            case NamesFolder():
                make_folder()
            case Netns():
                take_name(step.name, Reserved(self._handles[step.name], self._files[step.name]))
            case Folder():
                Path(step.path).mkdir(mode=step.mode)
            case File():
                _write_file(step)
            case Ruleset():
                load_ruleset(step, self._handle(step.netns))
            case Process():
                netns = self._handle(step.netns) if step.netns else None
                running = start_process(step, run=self._run, netns=netns)
                return {"pid": running.pid, "start_ticks": running.start_ticks}
            case _:
                pass  # made above, many at once
        return {}

    def adopt(self, entries: Sequence[Entry], run: str) -> None:
        """Find the namespaces of a lab that is up; see ``lab.network.world.World``."""
        self._run = run
        for entry in entries:
            if entry.kind == "netns":
                handle = open_own(entry.step["name"], entry.identity)
                if handle is not None:
                    self._handles[entry.step["name"]] = handle

    def _handle(self, name: str) -> int:
        try:
            return self._handles[name]
        except KeyError:
            raise LabError(
                f"the network namespace {name} is gone, or another one has its name; "
                f"bring the lab down and up again: l2tp-lab down && l2tp-lab up"
            ) from None

    def _set_sysctls(self, steps: Sequence[Sysctl]) -> None:
        for name in dict.fromkeys(step.netns for step in steps):
            own = [step for step in steps if step.netns == name]
            in_netns(self._handle(name), partial(_set_sysctls, own))

    def remove(self, entries: Sequence[Entry], *, run: str, same_boot: bool) -> list[Removal]:
        """Remove processes, then links, then namespaces; see ``lab.network.world.World``.

        Processes outside of the namespaces have until the end: nothing of the rest is theirs.
        """
        self.close()
        by_kind: dict[str, list[Entry]] = {}
        for entry in entries:
            by_kind.setdefault(entry.kind, []).append(entry)
        namespaces = {e.step["name"]: e.identity for e in by_kind.get("netns", [])}
        processes = by_kind.get("process", [])
        outside = [entry for entry in processes if entry.step.get("netns") is None]
        inside = [entry for entry in processes if entry not in outside]
        inodes = {identity["inode"] for identity in namespaces.values()}
        # The tracer may be in one of the namespaces for a moment, to ask the driver.
        spared = {_running(entry) for entry in outside if "pid" in entry.identity}
        with self._stopping(outside, same_boot) as ended_outside:
            removals = [
                *self._stop(inside, run, same_boot, inodes, spared=spared),
                *unlink(by_kind.get("veth", []), namespaces, same_boot),
                *_release(by_kind.get("netns", []), same_boot),
                *(
                    Removal(e, remove_folder(e.identity, same_boot=same_boot))
                    for e in by_kind.get("namesfolder", [])
                ),
            ]
        removals = [*ended_outside, *removals]
        # What they left behind, and what was started just before a kill.
        stuck = {
            _running(one.entry)
            for one in removals
            if one.outcome == STUCK and "start_ticks" in one.entry.identity
        }
        return [*removals, *self._stop((), run, same_boot, spared=stuck)]

    @contextmanager
    def _stopping(self, entries: Sequence[Entry], same_boot: bool) -> Iterator[list[Removal]]:
        """Stop processes meanwhile; what became of them is in the list in the end."""
        ended: list[Removal] = []
        errors: list[BaseException] = []

        def stop() -> None:
            try:
                ended.extend(self._stop_known(entries, same_boot))
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=stop)
        thread.start()
        try:
            yield ended
        finally:
            thread.join()
        if errors:
            raise errors[0]

    def _end(self, processes: Collection[Running]) -> list[Running]:
        if not processes:
            return []
        patience_s = scaled(PATIENCE_S) if self._patience_s is None else self._patience_s
        return stop_processes(processes, patience_s=patience_s)

    def _stop(
        self,
        entries: Sequence[Entry],
        run: str,
        same_boot: bool,
        inodes: Collection[int] | None = None,
        *,
        spared: Collection[Running] = (),
    ) -> list[Removal]:
        """Stop processes, and then whatever else carries the mark, inside those namespaces only."""
        removals = self._stop_known(entries, same_boot)
        if not same_boot:
            return removals
        known = {_running(one.entry) for one in removals if one.outcome == STUCK} | set(spared)
        marked = [process for process in marked_processes(run, inodes) if process not in known]
        return [
            *removals,
            *(Removal(_unknown(one), STUCK, _stuck(one)) for one in self._end(marked)),
        ]

    def _stop_known(self, entries: Sequence[Entry], same_boot: bool) -> list[Removal]:
        if not same_boot:
            return [Removal(entry, ABSENT) for entry in entries]
        known = {_running(entry): entry for entry in entries if "pid" in entry.identity}
        stuck = set(self._end(known))
        gone = [entry for entry in entries if "pid" not in entry.identity]
        gone += [entry for process, entry in known.items() if process not in stuck]
        return [
            *(Removal(entry, REMOVED) for entry in gone),
            *(Removal(known[process], STUCK, _stuck(process)) for process in stuck),
        ]


def _unknown(process: Running) -> Entry:
    identity = {"pid": process.pid, "start_ticks": process.start_ticks}
    return Entry("", "process", {"name": f"pid {process.pid}"}, identity)


def _stuck(process: Running) -> str:
    return (
        f"process {process.pid} does not end, even by SIGKILL: see where it hangs in "
        f"/proc/{process.pid}/stack, then bring the lab down again"
    )


def _running(entry: Entry) -> Running:
    return Running(entry.identity["pid"], entry.identity["start_ticks"])


def _release(entries: Sequence[Entry], same_boot: bool) -> list[Removal]:
    removals = []
    for entry in entries:
        outcome, note = give_back(entry.step["name"], entry.identity, same_boot=same_boot)
        removals.append(Removal(entry, outcome, note))
    living = inhabitants([r.entry.identity["inode"] for r in removals if r.outcome == REMOVED])
    return [_with_inhabitants(removal, living) for removal in removals]


def _with_inhabitants(removal: Removal, living: Mapping[int, list[str]]) -> Removal:
    who = living.get(removal.entry.identity["inode"])
    if not who:
        return removal
    name = removal.entry.step["name"]
    note = f"{', '.join(who)} still lives in {name}, which is nameless now and ends with it"
    return Removal(removal.entry, removal.outcome, note)


def _write_file(step: File) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    handle = os.open(step.path, flags, step.mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(step.content)


def _set_sysctls(steps: Sequence[Sysctl]) -> None:
    for step in steps:
        _set_sysctl(step)


def _set_sysctl(step: Sysctl) -> None:
    path = Path("/proc/sys", *step.key.split("."))
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, step.value.encode())
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise CannotRun(
            f"this kernel has no setting {step.key}, which {step.netns} needs; "
            f"use another kernel: --place appliance"
        ) from None
    except OSError as error:
        raise LabError(
            f"cannot set {step.key}={step.value} in {step.netns}: {os.strerror(error.errno or 0)}; "
            f"correct the sysctls of the topology's node"
        ) from None
