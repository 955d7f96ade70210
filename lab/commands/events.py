"""``l2tp-lab events``: what happens in the daemons, as it happens."""

from __future__ import annotations

import argparse
import json
import queue
import threading
from contextlib import suppress
from typing import Any

from lab.console import Console
from lab.errors import LabError

_LINES = """
A line is an event from now on, until Ctrl-C: seconds of CLOCK_MONOTONIC, the
node, its ids as TUNNEL/SESSION ("-": none), the event, and what it tells as
NAME=VALUE. Events are the daemons' words: MessageSent, MessageReceived,
TunnelRequested, TunnelEstablished, SessionEstablished, PppUp, NetworkSet,
SessionReady, TunnelClosed and so on. What came before: l2tp-lab timeline.

fields of every object of --json:
  node               whose daemon tells it
  event              what happened
  time_ns wall_ns    when: CLOCK_MONOTONIC, and since 1970, in nanoseconds
  local_tunnel_id local_session_id
                     ids at that node; null where it is about neither
and those of the event, such as name, ns, nr, transmission and peer of a
message, cause of an end, and line of what pppd said.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _LINES
    parser.add_argument("node", nargs="?", help="of this node's daemon only")
    parser.add_argument("--json", action="store_true", help="every record whole, one a line")
    parser.add_argument("--count", type=_count, metavar="N", help="end after so many records")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print records of the daemons' logs until interrupted, or until a daemon ends."""
    from lab.running.live import Live

    live = Live.open(args.lab)
    if args.node:
        live.netns(args.node)
    nodes = [args.node] if args.node else live.daemons
    if not nodes:
        raise LabError(f"no daemon runs in the lab “{args.lab}”")
    records: queue.Queue[tuple[str, dict[str, Any] | None]] = queue.Queue()
    for node in nodes:
        # Subscribed before anything is printed, so that what comes next is not missed.
        events = live.daemon(node).events()
        threading.Thread(target=_follow, args=(node, events, records), daemon=True).start()
    shown = 0
    with suppress(KeyboardInterrupt):
        while nodes and shown != args.count:
            node, record = records.get()
            if record is None:
                nodes.remove(node)
                continue
            shown += 1
            text = json.dumps({"node": node, **record}) if args.json else line(node, record)
            print(text, flush=True)
    return 0


def line(node: str, record: dict[str, Any]) -> str:
    """Write one record for people: when, who, what, and the rest that is short."""
    ids = [str(record[key]) for key in ("local_tunnel_id", "local_session_id") if record.get(key)]
    rest = [
        f"{name}={value}"
        for name, value in record.items()
        if name not in _TOLD and isinstance(value, str | int | float) and value != ""
    ]
    seconds = record["time_ns"] / 1e9
    return " ".join([f"{seconds:.3f}", node, "/".join(ids) or "-", record["event"], *rest])


_TOLD = ("event", "time_ns", "wall_ns", "local_tunnel_id", "local_session_id")


def _follow(
    node: str, events: Any, records: queue.Queue[tuple[str, dict[str, Any] | None]]
) -> None:
    for record in events:
        records.put((node, record))
    records.put((node, None))


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
