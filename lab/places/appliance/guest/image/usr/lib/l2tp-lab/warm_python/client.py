"""A client: what a process for it inherits, read in its /proc, and how it is answered."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from warm_python.kernel import SYS_PIDFD_GETFD, check, libc

#: Where the client has its standard streams for us.
STREAMS = (6, 7, 8)

#: What the client passes on, and what it may have been told to ignore.
PASSED_ON = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT),
    *(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2),
)


class Declined(Exception):
    """This one is for the ordinary interpreter."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the process is to inherit from its client."""

    arguments: list[str]
    environment: dict[bytes, bytes]
    folder: str
    umask: int
    ignored: list[int]
    #: Whether the client leads its process group: signals are then meant for it alone.
    leads: bool
    #: Descriptors of our own: the standard streams, the net and mnt namespaces, the folder.
    handles: list[int]


@dataclass
class Client:
    """A client that waits for an answer, then for the end of the process made for it."""

    pid: int
    reply: int
    request: Request
    process: int = 0

    def answer(self, line: str) -> None:
        """Write a line; nobody may be there any more."""
        with contextlib.suppress(OSError):
            os.write(self.reply, f"{line}\n".encode())

    def signal(self, number: int) -> None:
        """Signal the process as the client was signalled: alone, or with all of its group."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, number)
            if not self.request.leads and number == signal.SIGKILL:
                os.killpg(self.process, number)


def read_request(pid: int) -> Request:
    """Read in /proc what a process inherits from this client. Raises Declined or OSError."""
    proc = Path(f"/proc/{pid}")
    # The shell that runs the client, its word "sh", the client itself, "-m", the module.
    words = (proc / "cmdline").read_bytes().split(b"\0")[3:-1]
    if len(words) < 2 or words[0] != b"-m":
        raise Declined
    settings = (proc / "environ").read_bytes().split(b"\0")[:-1]
    status = dict(
        line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line
    )
    ignored = int(status["SigIgn"], 16)
    return Request(
        arguments=[os.fsdecode(word) for word in words[1:]],
        environment=dict(setting.split(b"=", 1) for setting in settings if b"=" in setting),
        folder=str((proc / "cwd").readlink()),
        umask=int(status["Umask"], 8),
        ignored=[number for number in PASSED_ON if ignored >> (number - 1) & 1],
        leads=os.getpgid(pid) == pid,
        handles=_handles(pid),
    )


def _handles(pid: int) -> list[int]:
    """Open what the client has open, whatever it is (pidfd_getfd(2)), and where it is."""
    found: list[int] = []
    whole = os.pidfd_open(pid)
    try:
        for number in STREAMS:
            handle = libc.syscall(SYS_PIDFD_GETFD, whole, number, 0)
            check(0 if handle >= 0 else -1)
            found.append(handle)
        for name in ("ns/net", "ns/mnt", "cwd"):
            found.append(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
    except OSError:
        close(found)
        raise
    finally:
        os.close(whole)
    return found


def close(handles: list[int]) -> None:
    """Close descriptors, and forget them."""
    while handles:
        os.close(handles.pop())
