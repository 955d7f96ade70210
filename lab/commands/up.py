"""``l2tp-lab up``: bring the lab up, and show it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lab.console import Console
from lab.errors import UsageError
from lab.spelling import as_typed, command
from lab.topology import to_json

if TYPE_CHECKING:
    from lab.running.live import Live
    from lab.topology import Topology

_DEFAULT = "default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--topology", metavar="NAME|FILE", default=_DEFAULT, help="what to build (a .yml file)"
    )
    for what in ("tunnels", "sessions"):
        parser.add_argument(
            f"--{what}",
            type=int,
            metavar="N",
            help=f"another count of {what}{' in each tunnel' if what == 'sessions' else ''}, "
            "for a topology that counts them (scale)",
        )
    parser.add_argument("--check", action="store_true", help="run the checks as well")
    parser.add_argument("--json", action="store_true", help="one JSON document, no picture")
    parser.add_argument("--output", metavar="FOLDER", help="leave the run's folder here")


def verify(args: argparse.Namespace) -> None:
    """Read and validate the topology. Raises UsageError with every error of the file."""
    _load(args)


def _load(args: argparse.Namespace) -> Topology:
    from lab.topology import Counts, load_topology

    return load_topology(args.topology, lab=args.lab, counts=Counts(args.tunnels, args.sessions))


def _refuse_another(args: argparse.Namespace, live: Live, topology: Topology) -> None:
    """Raise UsageError where a topology was asked for by name, and another one is up."""
    asked = args.topology != _DEFAULT or args.tunnels is not None or args.sessions is not None
    if asked and to_json(live.topology) != to_json(topology):
        raise UsageError(
            f"lab “{args.lab}” is up with another topology (“{live.topology.name}”), and is left "
            f"as it is. Remove it first: {command('down', args.lab)}; or use another name: "
            "--lab NAME"
        )


def _refuse_without_daemons(live: Live) -> None:
    """Raise LabError where a daemon of the lab that is up has ended: nothing starts it again."""
    from l2tp.daemon.control import ControlError
    from lab.errors import LabError

    for node in live.daemons:
        try:
            live.status(node)
        except ControlError as error:
            raise LabError(
                f"lab “{live.lab}” is up, and the daemon on {node} has ended. Begin anew: "
                f"{command('down', live.lab)}, and then {command('up', live.lab)}"
            ) from error


def run(args: argparse.Namespace, console: Console) -> int:
    """Bring the lab up unless it is, run the checks if asked to, and end with the picture."""
    from lab.checks import CHECKS, run_checks
    from lab.report import as_json, closing_words
    from lab.results import exit_code
    from lab.results.folder import write_run_folder
    from lab.running.bringup import bring_up, is_up
    from lab.running.live import Live

    with console.step(f"topology “{as_typed(args.topology)}” read and valid"):
        topology = _load(args)
    if is_up(args.lab):
        live = Live.open(args.lab)
        _refuse_another(args, live, topology)
        _refuse_without_daemons(live)
        console.say(f"lab “{args.lab}” is up already ({command('down', args.lab)} removes it)")
    else:
        live = bring_up(args.lab, topology, console)
    steps = list(console.finished)
    results = run_checks(live, CHECKS, console) if args.check else []
    print(as_json(live, results, steps) if args.json else closing_words(live, results, steps))
    if args.output:
        write_run_folder(Path(args.output), live, results)
    return exit_code(results) if args.check else 0
