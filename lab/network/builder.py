"""Brings a lab up from its plan, and down from its ledger; knows no kernel, only a world.

``up`` leaves a whole lab or nothing. ``down`` needs no topology, works on whatever an interrupted
``up`` or ``down`` left, and works again when there is nothing left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.network.ledger import Ledger, LedgerError, lab_lock
from lab.network.plan import OWN_NAME, Group, Plan, Process, kind_of
from lab.network.world import FOREIGN, REMOVED, STUCK, Removal, World

Narrator = Callable[[str], AbstractContextManager[object]]
"""What is told each group's title, as a context that lasts as long as the making."""


@dataclass(frozen=True)
class Downfall:
    """What ``down`` did: a removal for each object that the ledger held."""

    removals: tuple[Removal, ...] = ()

    @property
    def complete(self) -> bool:
        """Tell whether nothing of ours is left."""
        return not any(removal.outcome == STUCK for removal in self.removals)

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what was left alone or could not be removed, and what to do."""
        return tuple(removal.note for removal in self.removals if removal.note)

    def count(self, outcome: str = REMOVED) -> int:
        """Count the objects with that outcome."""
        return sum(removal.outcome == outcome for removal in self.removals)


def _silent(_: str) -> AbstractContextManager[object]:
    return nullcontext()


def up(plan: Plan, world: World, *, narrate: Narrator = _silent) -> None:
    """Make everything in ``plan``; when anything fails, take back what was made and raise.

    Raises LabError before anything is made when the lab exists or a name is taken.
    """
    folder = Path(plan.runtime)
    with lab_lock(folder):
        _sweep(folder)
        _refuse_existing(folder, plan.lab)
        occupied = world.occupied(list(plan.steps()))
        if occupied:
            raise LabError("\n".join(occupied))
        ledger = Ledger.create(folder, lab=plan.lab, boot_id=world.boot_id())
        try:
            for group in plan.groups:
                with narrate(group.title):
                    make_group(group, world, ledger)
        except BaseException as error:
            downfall = _down(folder, world)
            if downfall.notes and isinstance(error, LabError):
                raise type(error)("\n".join((str(error), *downfall.notes))) from error
            raise


def make_group(group: Group, world: World, ledger: Ledger) -> None:
    """Make one group: reserve, write down, make, write down what more is known."""
    identities = world.reserve(group.steps, ledger.header.run)
    recorded = [i for i, step in enumerate(group.steps) if kind_of(step) in OWN_NAME]
    numbers = ledger.intend([group.steps[i] for i in recorded], [identities[i] for i in recorded])
    made = world.make(group.steps)
    ledger.made(numbers, [made[i] for i in recorded])


def start(process: Process, world: World, folder: Path) -> None:
    """Start one more process in a lab that is up, such as a scenario's traffic generator."""
    ledger = Ledger.open(folder)
    world.adopt(ledger.entries(), ledger.header.run)
    make_group(Group(process.name, (process,)), world, ledger)


def _refuse_existing(folder: Path, lab: str) -> None:
    if folder.exists():
        raise LabError(
            f'lab "{lab}" is up already, or an interrupted run left it; '
            f"remove it first: l2tp-lab down --lab {lab}"
        )


def down(folder: Path, world: World) -> Downfall:
    """Remove all that the ledger in ``folder`` proves to be ours, then the folder itself.

    Nothing to do is no error. What could not be removed stays in the ledger for another try.
    """
    if not folder.parent.exists():
        return Downfall()
    with lab_lock(folder):
        downfall = _down(folder, world)
        _sweep(folder)
    with suppress(OSError):
        folder.parent.rmdir()  # only when this was the last lab
    return downfall


def _down(folder: Path, world: World) -> Downfall:
    try:
        ledger = Ledger.open(folder)
    except FileNotFoundError:
        if folder.exists():
            raise LedgerError(
                f"{folder} has no ledger, so it is not a lab's; look at it, then: rm -r {folder}"
            ) from None
        return Downfall()
    same_boot = ledger.header.boot_id == world.boot_id()
    entries = ledger.entries()[::-1]
    removals = world.remove(entries, run=ledger.header.run, same_boot=same_boot)
    ledger.gone([r.entry.number for r in removals if r.outcome not in (STUCK, FOREIGN)])
    downfall = Downfall(tuple(removals))
    if downfall.complete:
        leaving = folder.with_name(f".{folder.name}.leaving-{ledger.header.run}")
        folder.rename(leaving)
        _remove_tree(leaving)
    return downfall


def _sweep(folder: Path) -> None:
    """Remove folders that were on their way in or out when a command was killed."""
    for way in ("making", "leaving"):
        for path in folder.parent.glob(f".{folder.name}.{way}-*"):
            _remove_tree(path)


def _remove_tree(path: Path) -> None:
    import shutil  # imported late: most commands remove nothing

    shutil.rmtree(path)
