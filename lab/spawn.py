"""Start a program with posix_spawn: cheap, in the caller's namespace, its errors raised at once.

``subprocess`` would do, but its import alone costs more than building a whole lab's links.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Python ignores these, and an ignored signal stays ignored across exec.
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    stdin: int | None = None,
    output: int,
    own_session: bool = False,
) -> int:
    """Start ``argv`` and give its pid; ``stdin`` None reads nothing.

    ``output`` takes both its standard output and its standard error. Raises OSError when there is
    no such program.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
    if stdin is None:
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    else:
        actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    return os.posix_spawnp(
        argv[0],
        list(argv),
        dict(os.environ if environment is None else environment),
        file_actions=actions,
        setsid=own_session,
        setsigmask=(),
        setsigdef=_RESTORED,
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """A program that reads its whole input from a file in memory, and may run beside others."""

    pid: int
    output: int

    @classmethod
    def start(cls, argv: Sequence[str], text: str) -> Batch:
        """Start ``argv`` with ``text`` on its standard input."""
        source = os.memfd_create("batch", os.MFD_CLOEXEC)
        output = os.memfd_create("output", os.MFD_CLOEXEC)
        try:
            os.write(source, text.encode())
            os.lseek(source, 0, os.SEEK_SET)
            return cls(spawn(argv, stdin=source, output=output), output)
        except OSError:
            os.close(output)
            raise
        finally:
            os.close(source)

    def finish(self) -> tuple[int, str]:
        """Wait for its end; gives the exit code and everything that it wrote."""
        try:
            _, status = os.waitpid(self.pid, 0)
            size = os.fstat(self.output).st_size
            text = os.pread(self.output, size, 0).decode(errors="replace")
            return os.waitstatus_to_exitcode(status), text
        finally:
            os.close(self.output)
