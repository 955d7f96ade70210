"""One pppd on one session socket: started, listened to, ended."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from l2tp.ppp.child import Child
from l2tp.ppp.exits import PppExit, explain_exit
from l2tp.protocol.errors import L2tpError

#: With "debug" pppd prints every packet; what it says of its end are the last few lines.
_REMEMBERED_LINES: Final = 20


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
        self._program = program
        self._on_line = on_line
        self._on_exit = on_exit
        self._child = Child(loop, on_line=self._heard, on_exit=self._ended)
        self._said: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self._ending = False

    @property
    def pid(self) -> int | None:
        """Return the process id once it runs."""
        return self._child.pid

    def start(self, options: Path, session_fd: int) -> None:
        """Run pppd with an options file and a session's socket; raises PppdMissing.

        One that was told to end before it was started is not started.
        """
        if self._ending:
            self._on_exit(explain_exit(-signal.SIGTERM, asked=True))
            return
        try:
            self._child.start([self._program, "file", options], pass_fds=(session_fd,))
        except OSError as error:
            raise PppdMissing(
                f"cannot run {self._program}: {error.strerror}. Install it: apt-get install ppp"
            ) from error

    def terminate(self) -> None:
        """Ask pppd to end PPP in order: LCP Terminate-Request, then exit."""
        self._ending = True
        self._child.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End pppd at once; the kernel removes its interface all the same."""
        self._ending = True
        self._child.signal(signal.SIGKILL)

    def _heard(self, line: str) -> None:
        self._said.append(line)
        self._on_line(line)

    def _ended(self, status: int) -> None:
        self._on_exit(explain_exit(status, asked=self._ending, said=self._said))
