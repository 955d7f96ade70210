"""``l2tp-lab call``: have a LAC dial a session, or an LNS have its LAC dial one."""

from __future__ import annotations

import argparse

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--node", metavar="NODE", help="which LAC, or which LNS with --number (default: the first)"
    )
    parser.add_argument(
        "--tunnel",
        metavar="NAME|ID",
        help="which of its tunnels, by name or local id; an LNS knows them by the LAC's host name, "
        "which in a lab is its node (default: the first)",
    )
    parser.add_argument("--user", help="as whom (default: the tunnel's first call)")
    parser.add_argument(
        "--number",
        help="an outgoing call: the LNS has the LAC dial the line of this number; in a lab each "
        "caller of a LAC is one of its lines, and its name the number",
    )
    parser.add_argument(
        "--sequencing", action="store_true", default=None, help="require numbered data both ways"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Place the call, wait until PPP runs, and print what it got."""
    from lab.running.dialling import wait_for_session
    from lab.running.live import Live

    live = Live.open(args.lab)
    ends = [tunnel.lns if args.number else tunnel.lac for tunnel in live.topology.l2tp.tunnels]
    node = args.node or next((end for end in ends if end in live.daemons), ends[0])
    live.netns(node)
    with live.daemon(node) as daemon:
        ids = daemon.call(
            tunnel=args.tunnel, user=args.user, number=args.number, sequencing=args.sequencing
        )
    session = wait_for_session(live, node, ids["local_tunnel_id"], ids["local_session_id"])
    print(
        f"{node}: session {ids['local_tunnel_id']}/{ids['local_session_id']} is up as "
        f"{session['user']}: {session['ppp']['interface']} {session['ppp']['local_ipv4']}"
    )
    return 0
