"""``l2tp-lab check``: run the checks against the live lab."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("names", nargs="*", metavar="CHECK", help="which checks (default: all)")
    form = parser.add_mutually_exclusive_group()
    for name, what in (("json", "one JSON document"), ("junit", "JUnit XML"), ("ktap", "KTAP")):
        form.add_argument(
            f"--{name}",
            dest="form",
            action="store_const",
            const=name,
            default="text",
            help=f"{what} on standard output",
        )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="leave results (JSON, JUnit, KTAP), status and logs in this folder",
    )


def verify(args: argparse.Namespace) -> None:
    """Look the checks' names up. Raises UsageError for one that does not exist."""
    from lab.checks import select

    select(args.names)


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the checks; 0 when all passed, 1 when one failed, 4 when one could not run."""
    from lab.checks import run_checks, select
    from lab.results import exit_code
    from lab.results.folder import write_run_folder
    from lab.results.writers import WRITERS
    from lab.running.live import Live

    names = select(args.names)
    live = Live.open(args.lab)
    results = run_checks(live, names, console)
    print(WRITERS[args.form](results), end="")
    if args.output:
        write_run_folder(Path(args.output), live, results)
    return exit_code(results)
