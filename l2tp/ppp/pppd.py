"""One pppd on one session socket: started, listened to, ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from l2tp.errors import L2tpError
from l2tp.kernel import libc
from l2tp.ppp.exits import PppExit, explain_exit


class PppdMissing(L2tpError):
    """pppd cannot be run here."""


class Pppd:
    """A running pppd. ``on_line`` gets what it prints, ``on_exit`` its end, once."""

    def __init__(
        self,
        program: Path,
        *,
        on_line: Callable[[str], None],
        on_exit: Callable[[PppExit], None],
    ) -> None:
        self._program: Final = program
        self._on_line = on_line
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False

    @property
    def pid(self) -> int | None:
        """Return the process id once it runs."""
        return self._process.pid if self._process else None

    async def run(self, options: Path, session_fd: int) -> None:
        """Run pppd with an options file and a session's socket until it ends.

        pppd never outlives us: the kernel kills it when the daemon dies, however that happens.
        Raises PppdMissing.
        """
        if self._ending:
            self._on_exit(explain_exit(-signal.SIGTERM, asked=True))
            return
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                "file",
                options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(session_fd,),
                preexec_fn=_die_with_the_daemon,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                cwd="/",
            )
        except OSError as error:
            raise PppdMissing(
                f"cannot run {self._program}: {error.strerror}. Install it: apt-get install ppp"
            ) from error
        if self._ending:
            self._signal(signal.SIGTERM)
        if self._process.stdout is not None:
            async for line in self._process.stdout:
                self._on_line(line.decode(errors="replace").rstrip())
        status = await self._process.wait()
        self._on_exit(explain_exit(status, asked=self._ending))

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


def _die_with_the_daemon() -> None:
    libc.die_with_parent(signal.SIGKILL)
