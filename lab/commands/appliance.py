"""``l2tp-lab appliance``: build, start, stop, status, log, export and import the appliance."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands.where import shared_options
from lab.console import Console

if TYPE_CHECKING:
    from lab.places.appliance.commands import MachineStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare one sub-command a row of ``_ACTIONS``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (what, _) in _ACTIONS.items():
        added = actions.add_parser(name, help=what, description=what, parents=[shared_options()])
        added.set_defaults(parser=added)
        if name == "build":
            added.add_argument("--again", action="store_true", help="even if it is there")
        if name == "start":
            added.add_argument(
                "--counted",
                action="store_true",
                help="of a processor that takes a nanosecond for each instruction, whatever else "
                "this box does: what is timed in it comes out the same each time. It boots, and "
                "is some three times slower",
            )
        if name == "status":
            added.add_argument("--json", action="store_true", help="as one JSON document")
        if name in ("export", "import"):
            added.add_argument("file", type=Path, help="the archive, one file")


def run(args: argparse.Namespace, console: Console) -> int:
    """Do one of the actions."""
    _, act = _ACTIONS[args.action]
    return act(args, console)


def _prepare(args: argparse.Namespace, console: Console) -> None:
    from lab.doctor.model import Need
    from lab.places.appliance.kernelsource import verify_kernel
    from lab.setup import prepare_box

    if kernel := getattr(args, "kernel", None):
        verify_kernel(kernel)
    prepare_box(Need.APPLIANCE, console)


def _build(args: argparse.Namespace, console: Console) -> int:
    from lab.places.appliance import commands

    _prepare(args, console)
    commands.build(console, kernel=getattr(args, "kernel", None), rebuild=args.again)
    console.say("the appliance is built")
    return 0


def _start(args: argparse.Namespace, console: Console) -> int:
    from lab.places.appliance import commands

    _prepare(args, console)
    commands.start(console, args.lab, kernel=getattr(args, "kernel", None), counted=args.counted)
    console.say(f"the machine of lab “{args.lab}” runs")
    return 0


def _stop(args: argparse.Namespace, console: Console) -> int:
    from lab.places.appliance import commands

    ended = commands.stop(console, args.lab)
    console.say(f"the machine of lab “{args.lab}” {'has ended' if ended else 'did not run'}")
    return 0


def _status(args: argparse.Namespace, console: Console) -> int:
    from lab.places.appliance import commands

    machines = commands.statuses()
    if args.json:
        rows = [{**asdict(machine), "log": str(machine.log)} for machine in machines]
        print(json.dumps({"built": commands.is_built(), "machines": rows}, indent=1))
    else:
        print("\n".join(_lines(machines, built=commands.is_built())))
    return 0


def _lines(machines: list[MachineStatus], *, built: bool) -> Iterator[str]:
    yield "the image is built" if built else "no image yet: l2tp-lab appliance build"
    if not machines:
        yield "no machine runs"
        return
    head = f"{'LAB':<9}{'PID':>8}  {'STATE':<9}{'KERNEL':<26}{'ACCEL':<6}{'QEMU':<8}"
    yield f"{head}{'MIB':>5}{'PORT':>7}"
    for row in machines:
        yield (
            f"{row.lab:<9}{row.pid:>8}  {row.state:<9}{row.kernel:<26}{row.acceleration:<6}"
            f"{row.qemu:<8}{row.memory_mib:>5.0f}{row.port:>7}"
        )


def _log(args: argparse.Namespace, console: Console) -> int:
    from lab.places.appliance import commands

    for what, text in commands.console_log(args.lab):
        if what:
            console.say(what)
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0


def _export(args: argparse.Namespace, console: Console) -> int:
    from lab.places.appliance import commands

    commands.require_writable(args.file)
    _prepare(args, console)
    commands.build(console, kernel=getattr(args, "kernel", None))
    commands.export_to(console, args.file)
    console.say(f"wrote {args.file}; on the other box: l2tp-lab appliance import {args.file.name}")
    return 0


def _import(args: argparse.Namespace, console: Console) -> int:
    from lab.places.appliance import commands

    commands.import_from(console, args.file)
    console.say("the appliance is there; no network is needed to start it")
    return 0


_ACTIONS: dict[str, tuple[str, Callable[[argparse.Namespace, Console], int]]] = {
    "build": ("build the image and the kernel's bundle", _build),
    "start": ("start this lab's machine, from the warm snapshot if there is one", _start),
    "stop": ("end this lab's machine; what ran in it is gone", _stop),
    "status": ("which machines run, and what they take", _status),
    "log": ("the console of this lab's machine", _log),
    "export": ("write the appliance to one file, for a box without a network", _export),
    "import": ("take the appliance from such a file", _import),
}
