"""``l2tp-lab status``: tunnels and sessions."""

from __future__ import annotations

import argparse
import json

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="the daemons' own status by node, each with “disagreements” of daemon and kernel",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask every daemon, show the topology with its tunnels and sessions, and ask the kernel too.

    What the daemons, netlink and /proc do not agree on stands below.
    """
    from lab.pictures.dropped import dropped_lines, ended_lines
    from lab.report import picture, views_text
    from lab.running.live import Live
    from lab.running.views import look

    live = Live.open(args.lab)
    views = look(live)
    if args.json:
        told = {
            node: [d.says for d in views.disagreements if d.node == node] for node in views.nodes
        }
        status = {
            node: {**views.status.get(node, {"tunnels": []}), "disagreements": told[node]}
            for node in views.nodes
        }
        print(json.dumps(status, indent=1))
    else:
        print(picture(live.topology, views.status))
        for line in (*dropped_lines(views.status), *ended_lines(views.status)):
            print(line)
        print(views_text(views))
    return 0
