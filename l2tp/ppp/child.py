"""A program that lives no longer than the daemon: started, listened to, signalled, reaped."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from l2tp.kernel import libc

_CHUNK: Final = 65536
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Child:
    """A process on an event loop.

    ``on_line`` gets what it prints, ``on_exit`` its exit status (negative: the signal), once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_line: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._on_line = on_line
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1
        self._pidfd = -1
        self._unread = b""

    @property
    def pid(self) -> int | None:
        """Return the process id once it runs."""
        return self._process.pid if self._process else None

    def start(self, argv: Sequence[str | Path], *, pass_fds: Sequence[int] = ()) -> None:
        """Run a program; raises OSError.

        The kernel kills it when the daemon dies, however that happens. Only one that is killed in
        the moment before a child has asked for that leaves it behind: then our mark tells whose
        it was.
        """
        self._output, output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(output, True)
        wish, preexec = _death_wish()
        try:
            self._process = subprocess.Popen(
                [*wish, _found(argv[0]), *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                preexec_fn=preexec,
                # What marks us as somebody's marks our children too.
                env={**os.environ, **_ENVIRONMENT},
                cwd="/",
            )
        except OSError:
            os.close(self._output)
            raise
        finally:
            os.close(output)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._output, self._read)
        self._loop.add_reader(self._pidfd, self._reap, self._process)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended or was never started."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def _read(self) -> bool:
        """Take what it printed; returns whether there may be more."""
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._output)
            return False
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip())
        return True

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        status = process.wait()
        while self._read():
            pass
        for fd in (self._output, self._pidfd):
            self._loop.remove_reader(fd)
            os.close(fd)
        self._on_exit(status)


def _found(program: str | Path) -> str:
    """Find a program where a child will look for it; raises FileNotFoundError."""
    path = shutil.which(program, path=_ENVIRONMENT["PATH"])
    if path is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(program))
    return path


def _death_wish() -> tuple[list[str], Callable[[], None] | None]:
    """Say how a child is to be ended with us: by a program before its own, or by a function.

    Between a fork and what it executes, a function could do it. But such a fork has a copy of all
    that we have, and we copy, a page at a time, what we go on writing to. Without a function
    there is nothing to copy (vfork(2)).
    """
    setpriv = _setpriv()
    return ([setpriv, "--pdeathsig", "KILL"], None) if setpriv else ([], _die_with_the_daemon)


@cache
def _setpriv() -> str | None:
    return shutil.which("setpriv", path=_ENVIRONMENT["PATH"])


def _die_with_the_daemon() -> None:
    libc.die_with_parent(signal.SIGKILL)
