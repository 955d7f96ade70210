"""``l2tp-lab timeline``: control messages, pppd and the kernel on one clock."""

from __future__ import annotations

import argparse
import json

from lab.console import Console

_TURN_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--node", metavar="NODE", help="what happened in this node only")
    parser.add_argument("--tunnel", type=int, metavar="ID", help="of this tunnel id (either end's)")
    parser.add_argument("--session", type=int, metavar="ID", help="of this session id (either's)")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print what has happened so far, in order; and what happens next."""
    from lab.running.live import Live
    from lab.running.timelines import LabTimeline
    from lab.timeline import Drawing
    from probes.beat import Beat

    live = Live.open(args.lab)
    if args.node:
        live.netns(args.node)  # so that a wrong name is told
    timeline, drawing = LabTimeline(live), Drawing()
    with Beat(_TURN_S, None if args.follow else 0) as beat:
        while True:
            for record in timeline.settled() if args.follow else timeline.read():
                if _fits(record, args):
                    print(json.dumps(record) if args.json else drawing.line(record), flush=True)
            if not beat.next():
                break
    if args.json:
        for record in timeline.not_seen():
            print(json.dumps(record))
    else:
        for line in timeline.honesty:
            print(line)
    return 0


def _fits(record: dict[str, object], args: argparse.Namespace) -> bool:
    wanted = (
        (args.node, ("node",)),
        (args.tunnel, ("tunnel_id", "peer_tunnel_id")),
        (args.session, ("session_id", "peer_session_id")),
    )
    return all(
        value is None or value in [record[name] for name in names] for value, names in wanted
    )
