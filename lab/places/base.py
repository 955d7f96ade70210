"""What a place offers: somewhere with the kernel's L2TP driver, where commands of the lab run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol


class Progress(Protocol):
    """Whoever shows long work: ``lab.console.Console``, or a recorder in a test."""

    def say(self, text: str) -> None:
        """Show one line."""

    def step(self, name: str) -> AbstractContextManager[Any]:
        """Time one step from entry to exit."""


class Place(Protocol):
    """Somewhere a lab runs: this kernel, or the appliance."""

    @property
    def name(self) -> str:
        """``here`` or ``appliance``."""

    @property
    def reason(self) -> str:
        """Why this place was chosen, in words for the first line printed."""

    def prepare(self) -> None:
        """Make the place able to run commands: installed, started, with this checkout's code.

        Cheap when nothing is to be done. Raises ``lab.errors.CannotRun`` with the cure.
        """

    def run(self, argv: Sequence[str], *, tty: bool = False, stdin: int | None = None) -> int:
        """Run a command as root where the kernel is, in the project's folder; return its exit code.

        ``argv`` is never seen by a shell. Standard output and error stream to this process's own.
        ``tty`` gives the command a terminal (for interactive use). ``stdin`` is a file descriptor
        the command reads from; without one it reads this process's standard input when ``tty`` is
        set, and nothing otherwise. Raises ``lab.errors.MachineLost`` when the place went away
        under the command.
        """

    def fetch(self, source: PurePosixPath, target: Path) -> None:
        """Copy a file or a folder from the place to ``target`` on this box.

        A folder's contents land in the folder ``target``, which is made when missing.
        """

    def reached(self, port: int) -> AbstractContextManager[None]:
        """Let a port of this box's loopback lead to the same one of the place's, while it lasts.

        Raises ``lab.errors.LabError`` where the port is taken.
        """
