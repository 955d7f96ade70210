"""``python -m lab.places.appliance``: the appliance by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from lab.console import Console
from lab.errors import LabError
from lab.places.appliance import commands


def _build(args: argparse.Namespace, console: Console) -> int:
    commands.build(console, kernel=args.kernel, rebuild=args.rebuild)
    return 0


def _start(args: argparse.Namespace, console: Console) -> int:
    commands.start(console, args.lab, kernel=args.kernel)
    return 0


def _stop(args: argparse.Namespace, console: Console) -> int:
    if not commands.stop(console, args.lab):
        console.say(f"no machine of lab {args.lab} runs")
    return 0


def _status(_: argparse.Namespace, console: Console) -> int:
    for status in commands.statuses():
        print("\n".join(f"{name:<12} {value}" for name, value in asdict(status).items()))
    return 0


def _log(args: argparse.Namespace, console: Console) -> int:
    for what, text in commands.console_log(args.lab):
        sys.stdout.write(f"{what}\n{text}" if what else text)
    return 0


def _export(args: argparse.Namespace, console: Console) -> int:
    commands.export_to(console, Path(args.argv[0]))
    return 0


def _import(args: argparse.Namespace, console: Console) -> int:
    commands.import_from(console, Path(args.argv[0]))
    return 0


def _run(args: argparse.Namespace, console: Console) -> int:
    place = commands.start(console, args.lab, kernel=args.kernel)
    return place.run(args.argv, tty=sys.stdin.isatty() and sys.stdout.isatty())


_ACTIONS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "build": _build,
    "start": _start,
    "stop": _stop,
    "status": _status,
    "log": _log,
    "export": _export,
    "import": _import,
    "run": _run,
}


def main() -> int:
    """Run one command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.places.appliance")
    parser.add_argument("--lab", default="lab")
    parser.add_argument("--kernel", help="6.1, 6.12, newest, or a kernel's path")
    parser.add_argument("--rebuild", action="store_true", help="build anew what is there")
    parser.add_argument("action", choices=_ACTIONS)
    parser.add_argument(
        "argv", nargs=argparse.REMAINDER, help="run: a command; export, import: a file"
    )
    args = parser.parse_args()
    try:
        return _ACTIONS[args.action](args, Console())
    except LabError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
