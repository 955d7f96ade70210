"""``l2tp-lab journey``: every hop of chosen packets, from one ppp interface to the other."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.console import Console
from lab.outputs import handed_over, tell_written
from lab.spelling import as_typed
from probes.journeys.choice import add_choice

if TYPE_CHECKING:
    from lab.results.pcapng import JourneyCapture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_choice(parser)
    parser.add_argument("--from", dest="node", metavar="NODE", help="begun in this node only")
    parser.add_argument("--all", action="store_true", help="of the whole box: no lab is needed")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the packets as pcapng, with the journey and its end as comments",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Show journeys as they end; until ``--count``, or Ctrl-C."""
    from lab.network.plan import runtime_folder
    from lab.pictures.journey import draw_honesty, draw_journey
    from lab.pictures.width import width_of
    from lab.results.pcapng import JourneyCapture
    from lab.running.daemons import bpf_cache
    from lab.running.journeys import followed
    from probes.journeys.choice import as_options

    nodes, netns = _where(args)
    options = ["--costs", *as_options(args), *(["--netns", str(netns)] if netns else [])]
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    capture = JourneyCapture()
    cache = None if args.all else bpf_cache(runtime_folder(args.lab))
    with _written(capture, args.output), followed(options, nodes, cache) as told:
        for record in told:
            capture.add(record)
            if args.json:
                print(json.dumps(record), flush=True)
            elif record["kind"] == "journey":
                width = width_of(sys.stdout)
                print(draw_journey(record, width=width, ascii_only=ascii_only), flush=True)
            else:
                if record["kind"] == "ready":
                    console.say("following packets; Ctrl-C ends it")
                print(draw_honesty(record, width=width_of(sys.stdout)), end="", flush=True)
    if args.output and capture.left_out:
        console.say(as_typed(f"{args.output} had no room for {capture.left_out} packets"))
    return 0


@contextmanager
def _written(capture: JourneyCapture, output: str | None) -> Iterator[None]:
    """Write what has been captured whatever ends the following: a reader that goes, an error."""
    try:
        yield
    finally:
        if output:
            path = Path(output)
            path.parent.mkdir(parents=True, exist_ok=True)  # of the appliance's own, at first
            with handed_over(path):
                capture.write(path)
            tell_written(path)


def _where(args: argparse.Namespace) -> tuple[dict[int, str], int | None]:
    """Name the namespaces, and find the one where journeys are to begin."""
    from lab.errors import UsageError
    from lab.running.live import Live
    from lab.running.tracing import node_names
    from probes.figures.table import netns_names

    nodes = netns_names() if args.all else node_names(Live.open(args.lab))
    if args.node is None:
        return nodes, None
    found = [inode for inode, name in nodes.items() if name == args.node]
    if not found:
        raise UsageError(f"there is no node “{args.node}”: {', '.join(sorted(nodes.values()))}")
    return nodes, found[0]
