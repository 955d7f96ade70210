"""``l2tp-lab reload``: have a daemon read its configuration again."""

from __future__ import annotations

import argparse

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("node", help="the node whose daemon reads its files again")


def run(args: argparse.Namespace, console: Console) -> int:
    """Reload, and print what changed; live tunnels and sessions stay as they are."""
    from lab.running.live import Live

    live = Live.open(args.lab)
    live.netns(args.node)
    with live.daemon(args.node) as daemon:
        result = daemon.reload()
    print(f"{args.node}: changed: {', '.join(result['changed']) or 'nothing'}")
    if result["needs_restart"]:
        print(f"{args.node}: from its next start only: {', '.join(result['needs_restart'])}")
    return 0
