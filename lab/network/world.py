"""The interface between a lab and what it is built in, and the words for what came of it.

Two worlds exist: the kernel's (``lab.network.netns.KernelWorld``), and one in memory
(``lab.network.memory_world.MemoryWorld``) that keeps the same promises and needs no root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lab.network.plan import Step

Identity = Mapping[str, Any]
"""What proves that an object is ours; JSON values only. Empty when its container proves it."""

REMOVED, ABSENT, FOREIGN, STUCK = "removed", "absent", "foreign", "stuck"


@dataclass(frozen=True)
class Entry:
    """One object as the ledger knows it: what it is, and what proves that it is ours."""

    number: str
    kind: str
    step: Mapping[str, Any]
    identity: Identity
    made: bool = False


@dataclass(frozen=True)
class Removal:
    """What became of one entry: removed, absent, foreign (left alone) or stuck (try again)."""

    entry: Entry
    outcome: str
    note: str = ""


class World(Protocol):
    """What can make steps and take them away again."""

    def boot_id(self) -> str:
        """Tell one boot of the kernel from another."""

    def occupied(self, steps: Sequence[Step]) -> list[str]:
        """Say, a sentence each, which names that ``steps`` need are taken by somebody."""

    def reserve(self, steps: Sequence[Step], run: str) -> list[Identity]:
        """Prepare a group so that its identities are known before anything has a name.

        What this makes must vanish by itself when the process dies. ``run`` is the lab run's
        random mark. Gives one identity a step, which the ledger holds before ``make`` is called.
        """

    def make(self, steps: Sequence[Step]) -> list[Identity]:
        """Make a reserved group; gives what more is known of each step's identity.

        Raises LabError that names the step.
        """

    def adopt(self, entries: Sequence[Entry], run: str) -> None:
        """Get hold of a lab that another command has made, to make more in it."""

    def remove(self, entries: Sequence[Entry], *, run: str, same_boot: bool) -> list[Removal]:
        """Remove what is ours among ``entries`` (newest first), and nothing else."""
