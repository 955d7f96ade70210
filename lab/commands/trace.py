"""``l2tp-lab trace``: what the driver does, per tunnel and session, live."""

from __future__ import annotations

import argparse
import json
import time

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line, a line a round"
    )
    parser.add_argument("--interval", type=float, default=1.0, metavar="S", help="seconds (1)")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="rounds (default: on)")


def run(args: argparse.Namespace, console: Console) -> int:
    """Show the tracer's figures until interrupted, or ``--count`` times."""
    from lab.running.live import Live
    from lab.running.tracing import node_names, of_lab
    from probes.table import draw

    live = Live.open(args.lab)
    names = node_names(live)
    rounds = 0
    with live.tracer as tracer:
        while True:
            snapshot = of_lab(tracer.snapshot(), names)
            named = {**snapshot, "nodes": {str(inode): node for inode, node in names.items()}}
            print(json.dumps(named) if args.json else draw(snapshot, names), flush=True)
            rounds += 1
            if rounds == args.count:
                return 0
            time.sleep(args.interval)
