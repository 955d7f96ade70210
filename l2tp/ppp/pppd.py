"""One pppd on one session socket: started, listened to, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from l2tp.errors import L2tpError
from l2tp.kernel import libc
from l2tp.ppp.exits import PppExit, explain_exit

_CHUNK: Final = 65536
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class PppdMissing(L2tpError):
    """pppd cannot be run here."""


class Pppd:
    """A pppd on an event loop. ``on_line`` gets what it prints, ``on_exit`` its end, once."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        program: Path,
        *,
        on_line: Callable[[str], None],
        on_exit: Callable[[PppExit], None],
    ) -> None:
        self._loop = loop
        self._program = program
        self._on_line = on_line
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1
        self._pidfd = -1
        self._unread = b""
        self._ending = False

    @property
    def pid(self) -> int | None:
        """Return the process id once it runs."""
        return self._process.pid if self._process else None

    def start(self, options: Path, session_fd: int) -> None:
        """Run pppd with an options file and a session's socket; raises PppdMissing.

        pppd never outlives us: the kernel kills it when the daemon dies, however that happens.
        One that was told to end before it was started is not started.
        """
        if self._ending:
            self._on_exit(explain_exit(-signal.SIGTERM, asked=True))
            return
        self._output, output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(output, True)
        try:
            self._process = subprocess.Popen(
                [self._program, "file", options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(session_fd,),
                preexec_fn=_die_with_the_daemon,
                # What marks us as somebody's marks our children too.
                env={**os.environ, **_ENVIRONMENT},
                cwd="/",
            )
        except OSError as error:
            os.close(self._output)
            raise PppdMissing(
                f"cannot run {self._program}: {error.strerror}. Install it: apt-get install ppp"
            ) from error
        finally:
            os.close(output)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._output, self._read)
        self._loop.add_reader(self._pidfd, self._reap, self._process)

    def terminate(self) -> None:
        """Ask pppd to end PPP in order: LCP Terminate-Request, then exit."""
        self._ending = True
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End pppd at once; the kernel removes its interface all the same."""
        self._ending = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def _read(self) -> bool:
        """Take what pppd printed; returns whether there may be more."""
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
        self._on_exit(explain_exit(status, asked=self._ending))


def _die_with_the_daemon() -> None:
    libc.die_with_parent(signal.SIGKILL)
