"""``l2tp-lab hangup``: end a session or a tunnel."""

from __future__ import annotations

import argparse
import re

from lab.console import Console

_IDS = re.compile(r"(\d{1,5})(?:/(\d{1,5}))?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("node", help="the node whose daemon hangs up")
    parser.add_argument(
        "ids", type=_ids, metavar="TUNNEL[/SESSION]", help="local ids, as in l2tp-lab status"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Hang up; returns when PPP and its sockets are gone."""
    from lab.running.live import Live

    live = Live.open(args.lab)
    live.netns(args.node)
    tunnel_id, session_id = args.ids
    with live.daemon(args.node) as daemon:
        daemon.hangup(tunnel_id, session_id)
    console.say(f"{args.node}: {'session' if session_id else 'tunnel'} is gone")
    return 0


def _ids(text: str) -> tuple[int, int | None]:
    found = _IDS.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not TUNNEL or TUNNEL/SESSION, such as 5/7")
    return int(found[1]), int(found[2]) if found[2] else None
