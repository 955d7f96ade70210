"""Start and stop a lab's processes, and never anybody else's.

Every process is born inside its namespace, leads its own session, writes to a log file, and carries
the run's random mark in its environment, which its children inherit. So a process is ours when its
pid *and* start time are in the ledger, or when it carries the mark: the second finds what was
started just before a kill, and what our processes left behind.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.network.namespaces import in_netns
from lab.network.plan import Process
from lab.network.spawn import spawn

MARK = "L2TP_LAB_RUN"
"""The environment variable that every process of a lab carries."""

PATIENCE_S = 12.0
"""How long a process may take to end after SIGTERM on an ordinary box: longer than a daemon takes
at most to say goodbye to its peers."""

PROC = Path("/proc")


class ProcessError(LabError):
    """A process could not be started."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that cannot be mistaken for another: its pid, and its start in clock ticks."""

    pid: int
    start_ticks: int


def start_ticks(pid: int) -> int | None:
    """Read when a process started, in ticks since boot (proc(5), stat field 22); None if gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(text.rpartition(")")[2].split()[19])


def start_process(step: Process, *, run: str, netns: int | None) -> Running:
    """Start a process, inside the namespace of the descriptor ``netns`` unless that is None.

    The log is appended to. Raises ProcessError when the program does not exist.
    """
    environment = {**os.environ, MARK: run}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    output = os.open(step.log, flags, 0o600)

    def born() -> int:
        return spawn(step.argv, environment=environment, output=output, own_session=True)

    try:
        pid = born() if netns is None else in_netns(netns, born)
    except FileNotFoundError:
        raise ProcessError(
            f"cannot start {step.name}: there is no program {step.argv[0]}; "
            f"see what this box lacks: l2tp-lab doctor"
        ) from None
    finally:
        os.close(output)
    ticks = start_ticks(pid)
    # An unreaped child keeps its /proc entry, so the start time is there even if it died at once.
    return Running(pid, ticks if ticks is not None else 0)


def is_alive(process: Running) -> bool:
    """Tell whether exactly this process still runs (a zombie does not)."""
    if start_ticks(process.pid) != process.start_ticks:
        return False
    return _state(process.pid) not in ("Z", "X", "")


def _state(pid: int) -> str:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rpartition(")")[2].split()[0]


def stop_processes(
    processes: Iterable[Running], *, patience_s: float = PATIENCE_S
) -> list[Running]:
    """End processes: SIGTERM to all, and SIGKILL to those that outlive ``patience_s``.

    Gives those that are still there in the end (stuck in the kernel). A process whose start time
    differs is somebody else's by now, and is not touched.
    """
    handles = {process: handle for process in processes if (handle := _pidfd(process)) is not None}
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for handle in handles.values():
                _signal(handle, number)
            for process in _wait(handles, patience_s):
                os.close(handles.pop(process))
                _reap(process.pid)
        return list(handles)
    finally:
        for handle in handles.values():
            os.close(handle)


def _pidfd(process: Running) -> int | None:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if start_ticks(process.pid) == process.start_ticks:
        return handle
    os.close(handle)
    return None


def _signal(handle: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile
        signal.pidfd_send_signal(handle, number)


def _wait(handles: dict[Running, int], patience_s: float) -> list[Running]:
    """Wait until all have ended or time is up; a pidfd is readable once its process has ended."""
    poll = select.poll()
    waiting = {handle: process for process, handle in handles.items()}
    for handle in waiting:
        poll.register(handle, select.POLLIN)
    ended: list[Running] = []
    deadline = time.monotonic() + patience_s
    while waiting and (left_s := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(left_s * 1000):
            poll.unregister(handle)
            ended.append(waiting.pop(handle))
    return ended


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # another command started it; its parent, or init, reaps it
        os.waitpid(pid, os.WNOHANG)


def marked_processes(run: str, inodes: Collection[int] | None = None) -> list[Running]:
    """Find every process that carries the mark of ``run``, except ourselves and our ancestors.

    ``inodes``: only those that live in one of these network namespaces.
    """
    needle = f"{MARK}={run}".encode()
    spared = set(_ancestors())
    found = []
    for pid in all_pids():
        try:
            if inodes is not None and _netns_of(pid) not in inodes:
                continue
            with open(f"{PROC}/{pid}/environ", "rb", buffering=0) as file:  # noqa: PTH123
                environment = file.read()
        except OSError:
            continue
        if needle in environment and needle in environment.split(b"\0") and pid not in spared:
            ticks = start_ticks(pid)
            if ticks is not None:
                found.append(Running(pid, ticks))
    return found


def all_pids() -> Iterator[int]:
    """Give the pid of every process there is.

    Whoever looks into each of them does it without ``Path``, which costs more than the look.
    """
    return (int(name) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208


def _netns_of(pid: int) -> int:
    return os.stat(f"{PROC}/{pid}/ns/net").st_ino  # noqa: PTH116


def _ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid > 0:
        yield pid
        try:
            text = (PROC / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            return
        pid = int(text.rpartition(")")[2].split()[1])


def inhabitants(inodes: Sequence[int]) -> dict[int, list[str]]:
    """Say who lives in namespaces: for each inode number, a list like ``bash (pid 812)``."""
    found: dict[int, list[str]] = {inode: [] for inode in inodes}
    for pid in all_pids():
        try:
            inode = _netns_of(pid)
            if inode in found:
                name = (PROC / str(pid) / "comm").read_text().strip()
                found[inode].append(f"{name} (pid {pid})")
        except OSError:
            continue
    return found
