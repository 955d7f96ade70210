"""``l2tp-lab trace``: what the driver does, per tunnel and session, live."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.console import Console
from probes.figures.choosing import DIRECTIONS, KINDS, VERDICT_LABELS
from probes.limits import seconds, whole

if TYPE_CHECKING:
    from lab.pictures.rounds import Rounds
    from lab.running.tracing import Source
    from probes.figures.choosing import Choice


_COLUMNS = """
the columns, counted since the tracer was attached:
  netns           the node, or the namespace (its inode number without a name)
  tunnel session  the ids that this end chose; session 0 holds what is the
                  tunnel's own, that is its control messages
  ctrl  data      control messages and data packets received
  wait            of the data: not settled yet (in a reorder queue, on its way)
  drop            of the data: lost; lines below the table say why
  unkn            of the data: nobody's, most often of a session that has ended
  sent            data packets handed to IP
  p50_us p99_us   microseconds from the driver to the ppp interface, of half
                  and of 99 in 100 packets received ("-": none yet)
  state           "ended" for tunnels and sessions that are there no longer;
                  the column is there when one has ended
Each row is one end: a session with both ends on this kernel has two. --json
has more figures; docs/trace.md explains them, and the clock of its times.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _COLUMNS
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line, a line a round"
    )
    parser.add_argument("--interval", type=seconds, default=1.0, metavar="S", help="seconds (1)")
    parser.add_argument("--count", type=whole(1), metavar="N", help="rounds (default: on)")
    parser.add_argument(
        "--all",
        action="store_true",
        help="every namespace of this kernel, with a tracer of its own: no lab needs to run",
    )
    parser.add_argument(
        "--one-in",
        type=whole(1),
        default=1,
        metavar="N",
        help="with --all: count one packet in N, for boxes with much traffic (1)",
    )
    parser.add_argument(
        "--sequence", action="store_true", help="what the numbers of the data say, explained"
    )
    chosen = parser.add_argument_group("only sessions")
    chosen.add_argument("--netns", metavar="NAME", help="of a node, or a namespace (name, inode)")
    chosen.add_argument("--tunnel", type=whole(0), metavar="ID", help="of this tunnel id")
    chosen.add_argument("--session", type=whole(0), metavar="ID", help="of this session id")
    chosen.add_argument("--direction", choices=DIRECTIONS, help="that have received, or sent")
    chosen.add_argument("--kind", choices=KINDS, help="that have had such messages")
    chosen.add_argument(
        "--verdict",
        choices=VERDICT_LABELS,
        metavar="NAME",
        help="with packets that came to this: " + ", ".join(VERDICT_LABELS),
    )


def verify(args: argparse.Namespace) -> None:
    """Refuse what does not go together, before anything is started for it."""
    from lab.errors import UsageError

    if args.one_in > 1 and not args.all:
        raise UsageError("a lab's tracer counts every packet: --one-in goes with --all")


def run(args: argparse.Namespace, console: Console) -> int:
    """Show the tracer's figures until interrupted, or ``--count`` times."""
    from lab.pictures.rounds import Rounds
    from lab.running.tracing import of_everybody, of_running_lab
    from probes.beat import Beat
    from probes.figures.choosing import Choice

    choice = Choice(args.netns, args.tunnel, args.session, args.direction, args.kind, args.verdict)
    source = of_everybody(args.one_in) if args.all else of_running_lab(args.lab)
    with source as figures, Beat(args.interval, None) as beat:
        if not args.all:
            _verify_netns(args.netns, figures.names())
        rounds = Rounds(sys.stdout)
        while True:
            _show(figures, choice, args, rounds)
            if rounds.shown == args.count or not beat.next():
                return 0


def _verify_netns(netns: str | None, names: Mapping[int, str]) -> None:
    """Refuse a namespace that the lab has not: nothing could ever be shown of it."""
    from lab.errors import UsageError

    if netns is not None and netns not in {*names.values(), *map(str, names)}:
        raise UsageError(
            f"--netns {netns}: the lab's namespaces are {', '.join(sorted(names.values()))};"
            " --all looks at the others"
        )


def _show(source: Source, choice: Choice, args: argparse.Namespace, rounds: Rounds) -> None:
    from lab.running.tracing import as_record
    from probes.figures.table import draw, draw_numbers

    names = source.names()
    everything = source.snapshot()
    snapshot = choice.of(everything, names)
    if args.json:
        rounds.add_line(json.dumps(as_record(snapshot, names)))
    else:
        left_out = len(everything["figures"]) - len(snapshot["figures"])
        rounds.add((draw_numbers if args.sequence else draw)(snapshot, names, left_out))
