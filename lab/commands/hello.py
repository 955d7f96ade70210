"""``l2tp-lab hello``: ask a tunnel's peer for a sign of life."""

from __future__ import annotations

import argparse

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("node", help="the node whose daemon asks")
    parser.add_argument(
        "tunnel", type=int, metavar="TUNNEL", help="local id, as in l2tp-lab status"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Send a HELLO, and print how long its acknowledgement took."""
    from lab.running.live import Live

    live = Live.open(args.lab)
    live.netns(args.node)
    with live.daemon(args.node) as daemon:
        round_trip_s = daemon.hello(args.tunnel)
    print(f"{args.node}: the peer of tunnel {args.tunnel} answered in {round_trip_s * 1e3:.1f} ms")
    return 0
