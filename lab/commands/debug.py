"""``l2tp-lab debug``: what the driver says of one tunnel or session, on, off, and read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.console import Console
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.running.debugging import End
    from probes.client import TraceClient

CATEGORIES = ("control", "seq", "data")
_ROUND_S = 0.5
# The first switch may have to compile its probe.
_PATIENCE_S = 90.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = (
        "l2tp-lab debug [TUNNEL[/SESSION] CATEGORY on|off]\n"
        "                      [--node NODE] [--follow] [--json]"
    )
    parser.add_argument(
        "ids", nargs="?", metavar="TUNNEL[/SESSION]", help="ids as in l2tp-lab status, of any end"
    )
    parser.add_argument(
        "category",
        nargs="?",
        choices=(*CATEGORIES, "all"),
        help="control: tunnels and sessions come and go; seq: sequence numbers; data: each frame",
    )
    parser.add_argument("state", nargs="?", choices=("on", "off"))
    parser.add_argument("--node", help="this node's end only (default: both ends)")
    parser.add_argument(
        "--follow", action="store_true", help="show messages as they come, until interrupted"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace, console: Console) -> int:
    """Switch, if asked to, and show what is on and what was said meanwhile."""
    from lab.pace import scaled
    from lab.running.debugging import ends, ids, show_filters, show_messages
    from lab.running.live import Live
    from lab.running.tracing import node_names
    from probes.beat import Beat
    from probes.client import TraceClient

    live = Live.open(args.lab)
    names = node_names(live)
    inodes = {node: inode for inode, node in names.items()}
    with TraceClient(live.folder / "trace.sock", scaled(_PATIENCE_S)) as tracer:
        if args.ids is not None:
            if args.state is None:
                raise UsageError(
                    "say what to switch: l2tp-lab debug TUNNEL[/SESSION] control|seq|data on|off"
                )
            try:
                tunnel_id, session_id = ids(args.ids)
            except ValueError as error:
                raise UsageError(str(error)) from None
            wanted = CATEGORIES if args.category == "all" else (args.category,)
            still_on = _still_on(tracer, names) if args.state == "off" else []
            for end in ends(live, tunnel_id, session_id, args.node, still_on):
                answer = tracer.switch_debug(
                    inodes[end.node],
                    end.tunnel_id,
                    end.session_id,
                    wanted,
                    on=args.state == "on",
                )
            for missing in answer["missing"]:
                console.say(f"cannot be said here: {missing}")
            if not args.follow:
                show_filters(answer["filters"], names, as_json=args.json)
                return 0
        with Beat(_ROUND_S, None if args.follow else 0) as beat:
            while True:
                answer = tracer.debug_messages()
                show_messages(answer["messages"], names, as_json=args.json)
                if not beat.next():
                    break
        if not args.follow:
            show_filters(answer["filters"], names, as_json=args.json)
    return 0


def _still_on(tracer: TraceClient, names: Mapping[int, str]) -> list[End]:
    """Say of which ends something is on, whose tunnels may be gone."""
    from lab.running.debugging import End

    # Switching nothing off tells what is on, and takes nobody's messages.
    filters = tracer.switch_debug(0, 0, 0, (), on=False)["filters"]
    return [
        End(names[one["netns"]], one["tunnel_id"], one["session_id"])
        for one in filters
        if one["netns"] in names
    ]
