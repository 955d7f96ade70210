"""Finding and ending a QEMU by what the process table says, never by a number in a file alone."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A running machine of ours, with the argument vector it was started with."""

    pid: int
    argv: tuple[str, ...]

    def option(self, name: str) -> str:
        """Return the value after an option, or an empty string."""
        try:
            return self.argv[self.argv.index(name) + 1]
        except (ValueError, IndexError):
            return ""


def find_process(pid_file: Path, proc: Path = _PROC) -> Process | None:
    """Return the process that was started with this very ``-pidfile``, if one runs.

    A pid file can outlive its process, and its number then belongs to somebody else; and the file
    may be gone while the machine runs. So the process table is asked.
    """
    for folder in proc.iterdir():
        if folder.name.isdigit() and (found := _read(folder, pid_file)):
            return found
    return None


def end_process(process: Process, pid_file: Path, deadline_s: float) -> None:
    """End a machine: asked first, killed when it has not ended after ``deadline_s`` seconds.

    The number is held by a pidfd and looked at again, so that a process that took it over in
    the meantime is not hit.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if _read(_PROC / str(process.pid), pid_file) is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return
            if _ended(handle, deadline_s):
                return
    finally:
        os.close(handle)


def resident_mib(process: Process, proc: Path = _PROC) -> float:
    """Return how much memory the machine holds on this box, in MiB."""
    for line in (proc / str(process.pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _ended(handle: int, deadline_s: float) -> bool:
    ready, _, _ = select.select([handle], [], [], deadline_s)
    return bool(ready)


def _read(folder: Path, pid_file: Path) -> Process | None:
    try:
        raw = (folder / "cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    argv = tuple(part.decode(errors="replace") for part in raw.split(b"\0")[:-1])
    process = Process(int(folder.name), argv)
    is_machine = argv and Path(argv[0]).name.startswith("qemu-system-")
    return process if is_machine and process.option("-pidfile") == str(pid_file) else None
