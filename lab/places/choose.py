"""Chooses where the lab runs, and says why."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.console import Console
from lab.doctor.capabilities import missing
from lab.doctor.model import Need
from lab.errors import CannotRun, LabError, UsageError
from lab.setup import prepare_box
from lab.spelling import DEFAULT_LAB, command

if TYPE_CHECKING:
    from lab.places.base import Place

#: Set where a forwarded command runs: the place was already chosen.
INSIDE = "L2TP_LAB_INSIDE"
#: Set where a command became root to run here: the choice was already printed.
SAID = "L2TP_LAB_SAID"


@dataclass(frozen=True, slots=True)
class Choice:
    """A place, and why it was chosen."""

    need: Need
    reason: str


class NothingRuns(LabError):
    """A command that only uses what is there found no machine."""


def decide(
    wanted: str | None,
    lab: str = DEFAULT_LAB,
    kernel: str | None = None,
    *,
    looks_at_all: bool = False,
) -> Choice:
    """Choose the place: the one asked for, else ``here`` when this kernel has all a lab needs.

    Only what no package can bring (the kernel's features, and root, if need be through sudo)
    decides; packages are installed afterwards. A ``kernel`` that is asked for, or a machine of the
    lab that runs, speaks for the appliance. Raises CannotRun when ``here`` was asked for and is not
    possible, UsageError when what was asked for contradicts itself.
    """
    if wanted == Need.APPLIANCE.value:
        return Choice(Need.APPLIANCE, "asked for")
    lacking = missing(Need.HERE, installable=False)
    names = ", ".join(row.name for row, _ in lacking)
    if lacking and wanted == Need.HERE.value:
        cures = "; ".join(dict.fromkeys(finding.cure for _, finding in lacking))
        raise CannotRun(
            f"a lab cannot run here: this box lacks {names}. In QEMU it can; run: "
            f"{command('up --place appliance', lab)}. For a lab here: {cures}"
        )
    if lacking:
        first, _ = lacking[0]
        more = f" and {len(lacking) - 1} more: l2tp-lab doctor" if len(lacking) > 1 else ""
        return Choice(Need.APPLIANCE, f"this box lacks {first.name}{more}")
    if kernel:
        _refuse_kernel_here(kernel, wanted, lab)
        return Choice(Need.APPLIANCE, "the kernel is asked for")
    if wanted:
        return Choice(Need.HERE, "asked for")
    if not looks_at_all and not _is_up_here(lab) and _machine_runs(lab):
        end = command("appliance stop", lab)
        return Choice(Need.APPLIANCE, f"the machine of lab “{lab}” runs; to end it: {end}")
    return Choice(Need.HERE, "this kernel has all that a lab needs")


def _refuse_kernel_here(kernel: str, wanted: str | None, lab: str) -> None:
    if wanted:
        raise UsageError(
            f"--kernel {kernel} is for the appliance, and --place here is this box's own kernel: "
            "leave one of them out"
        )
    if _is_up_here(lab):
        raise UsageError(
            f"--kernel {kernel} is for the appliance, and the lab “{lab}” is up on this box's own "
            f"kernel: leave the option out; or remove it first: {command('down', lab)}; or use "
            "another name: --lab NAME"
        )


def _is_up_here(lab: str) -> bool:
    from lab.network.plan import runtime_folder  # late: few commands get here

    return runtime_folder(lab).exists()


def _machine_runs(lab: str) -> bool:
    from lab.places.appliance.running import machine_runs  # late: few commands get here

    return machine_runs(lab)


def choose(args: argparse.Namespace, console: Console, *, starts: bool) -> Place | None:
    """Choose, print the choice and prepare the box; None means: on this kernel, as root.

    A command that ``starts`` things installs what is missing. One that looks at ``--all`` of a
    kernel needs no lab and not what a lab needs: it says itself what it lacks here.
    """
    if INSIDE in os.environ:
        return None
    wanted = getattr(args, "place", None)
    looks_at_all = getattr(args, "all", False)
    if looks_at_all and wanted == Need.HERE.value:
        return None
    kernel = getattr(args, "kernel", None)
    choice = decide(wanted, args.lab, kernel, looks_at_all=looks_at_all)
    if starts and SAID not in os.environ:
        console.say(f"place: {choice.need.value} ({choice.reason})")
    if choice.need is Need.HERE and os.geteuid() != 0:
        # Root prepares the box, so that sudo is asked once.
        return None
    if kernel:
        from lab.places.appliance.kernelsource import verify_kernel

        verify_kernel(kernel)
    # A machine that runs shows that this box has what it takes; to ask each program takes longer.
    if starts and not (choice.need is Need.APPLIANCE and _machine_runs(args.lab)):
        prepare_box(choice.need, console)
    if choice.need is Need.HERE:
        return None
    from lab.places.appliance.place import AppliancePlace
    from lab.places.appliance.running import running_kernel

    running = running_kernel(args.lab)
    if running is None and not starts:
        if looks_at_all and wanted is None and not kernel:
            return None
        raise NothingRuns(
            f"the lab “{args.lab}” is not up: no machine runs. Run: {command('up', args.lab)}"
        )
    if not starts and kernel and Path(kernel).absolute() != Path(running or "").absolute():
        raise UsageError(
            f"--kernel {kernel}: the machine of lab “{args.lab}” runs {running}, and only a "
            f"command that starts one can choose; leave the option out, or begin anew: "
            f"{command('appliance stop', args.lab)}"
        )
    # A machine that runs keeps its kernel, unless another one is asked for by name.
    return AppliancePlace(
        args.lab, choice.reason, console, kernel=kernel or running, attaches=not starts
    )
