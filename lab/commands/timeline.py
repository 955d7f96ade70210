"""``l2tp-lab timeline``: control messages, pppd and the kernel on one clock."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lab.console import Console
from probes.limits import whole

if TYPE_CHECKING:
    from lab.running.timelines import Sources

_TURN_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument(
        "--all",
        action="store_true",
        help="of the whole box, from now on until Ctrl-C: no lab is needed",
    )
    parser.add_argument("--node", metavar="NODE", help="what happened in this node only")
    parser.add_argument(
        "--tunnel", type=whole(1), metavar="ID", help="of this tunnel id (either end's)"
    )
    parser.add_argument(
        "--session", type=whole(1), metavar="ID", help="of this session id (either's)"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print what has happened so far, in order; and what happens next."""
    with ExitStack() as stack:
        sources = _sources(args, stack)
        if args.all:
            console.say("watching tunnels and sessions of every namespace; Ctrl-C ends it")
        there = _print(sources, args, follow=args.follow or args.all)
        if there is not None:
            console.say(f"nothing here is what was asked for; the tunnels in it: {there}")
    return 0


def _sources(args: argparse.Namespace, stack: ExitStack) -> Sources:
    from lab.running.live import Live
    from lab.running.timelines import Sources, of_live
    from lab.running.tracing import of_everybody

    if args.all:
        everybody = stack.enter_context(of_everybody(moments=True))
        return Sources(everybody.client, everybody.names, only_named=False)
    live = Live.open(args.lab)
    if args.node:
        live.netns(args.node)  # so that a wrong name is told
    return of_live(live)


def _print(sources: Sources, args: argparse.Namespace, *, follow: bool) -> str | None:
    """Print what fits; where nothing did, return which tunnels are in it."""
    from lab.pictures.width import folded, width_of
    from lab.running.timelines import LabTimeline
    from lab.timeline import Drawing
    from probes.beat import Beat

    timeline, drawing = LabTimeline(sources), Drawing()
    tunnels: dict[int | None, None] = {}
    fitting = 0
    with Beat(_TURN_S, None if follow else 0) as beat:
        while True:
            for record in timeline.settled() if follow else timeline.read():
                tunnels[record["tunnel_id"]] = None
                if not _fits(record, args):
                    continue
                fitting += 1
                if args.json:
                    print(json.dumps(record), flush=True)
                else:
                    print(drawing.line(record, width_of(sys.stdout)), flush=True)
            if not beat.next():
                break
    if args.json:
        for record in timeline.not_seen():
            print(json.dumps(record))
    else:
        for line in timeline.honesty:
            print("\n".join(folded(line, width_of(sys.stdout))))
    if fitting or follow:
        return None
    return ", ".join(str(number) for number in tunnels if number) or "(none)"


def _fits(record: dict[str, object], args: argparse.Namespace) -> bool:
    wanted = (
        (args.node, ("node",)),
        (args.tunnel, ("tunnel_id", "peer_tunnel_id")),
        (args.session, ("session_id", "peer_session_id")),
    )
    return all(
        value is None or value in [record[name] for name in names] for value, names in wanted
    )
