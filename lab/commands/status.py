"""``l2tp-lab status``: tunnels and sessions."""

from __future__ import annotations

import argparse
import json

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="the daemons' own status, by node")


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask every daemon, and show the topology with its tunnels and sessions."""
    from lab.pictures.dropped import dropped_lines
    from lab.report import picture
    from lab.running.live import Live

    live = Live.open(args.lab)
    status = {node: live.status(node) for node in live.daemons}
    if args.json:
        print(json.dumps(status, indent=1))
    else:
        print(picture(live.topology, status))
        for line in dropped_lines(status):
            print(line)
    return 0
