"""``python -m lab.places.appliance``: the appliance by hand."""

from __future__ import annotations

import argparse
import sys

from lab.console import Console
from lab.errors import LabError
from lab.places.appliance import machine
from lab.places.appliance.machine import Home
from lab.places.appliance.paths import default_cache
from lab.places.appliance.place import AppliancePlace


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m lab.places.appliance")
    parser.add_argument("--lab", default="lab")
    parser.add_argument("--kernel")
    parser.add_argument("action", choices=["start", "stop", "status", "run"])
    parser.add_argument("argv", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    home = Home.of(default_cache(), args.lab)
    if args.action == "stop":
        return 0 if machine.end(home, 10) else 1
    if args.action == "status":
        print(home.find())
        return 0
    place = AppliancePlace(args.lab, "asked for", Console(), kernel=args.kernel)
    place.prepare()
    if args.action == "run":
        return place.run(args.argv, tty=sys.stdin.isatty() and sys.stdout.isatty())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
