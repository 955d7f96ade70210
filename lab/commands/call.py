"""``l2tp-lab call``: have a LAC dial a session."""

from __future__ import annotations

import argparse

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--node", metavar="LAC", help="which LAC (default: the first)")
    parser.add_argument(
        "--tunnel", metavar="NAME", help="which of its tunnels (default: the first)"
    )
    parser.add_argument("--user", help="as whom (default: the tunnel's first call)")


def run(args: argparse.Namespace, console: Console) -> int:
    """Place the call, wait until PPP runs, and print what it got."""
    from lab.running.dialling import wait_for_session
    from lab.running.live import Live

    live = Live.open(args.lab)
    node = args.node or live.topology.l2tp.tunnels[0].lac
    live.netns(node)
    with live.daemon(node) as daemon:
        ids = daemon.call(tunnel=args.tunnel, user=args.user)
    session = wait_for_session(live, node, ids["local_tunnel_id"], ids["local_session_id"])
    print(
        f"{node}: session {ids['local_tunnel_id']}/{ids['local_session_id']} is up as "
        f"{session['user']}: {session['ppp']['interface']} {session['ppp']['local_ipv4']}"
    )
    return 0
