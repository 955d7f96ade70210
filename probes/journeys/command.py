"""python3 -m probes journey: follow packets, one JSON object a line."""

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from probes.beat import Beat
from probes.hooks.spec import Style
from probes.journeys.choice import add_choice, choice_of
from probes.journeys.journey import Journey
from probes.journeys.tracer import RING_OCTETS, JourneyTracer

# How often events are fetched: often enough that the buffer holds what comes in between.
_TURN_S = 0.05
_IDLE_TURNS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_choice(parser)
    parser.add_argument("--netns", type=int, metavar="INODE", help="begun in this namespace")
    parser.add_argument(
        "--node",
        action="append",
        default=[],
        metavar="INODE=NAME",
        help="a namespace's name (default: those of ip netns)",
    )
    parser.add_argument(
        "--costs", action="store_true", help="let the kernel measure what following costs"
    )
    parser.add_argument("--style", choices=[style.value for style in Style], help="attach so only")
    parser.add_argument(
        "--ring",
        type=_power_of_two,
        default=RING_OCTETS,
        metavar="OCTETS",
        help="room for events, a power of two (default: %(default)s)",
    )


def _power_of_two(text: str) -> int:
    value = int(text)
    if value < 4096 or value & (value - 1):
        raise ValueError
    return value


_power_of_two.__name__ = "power of two from 4096 on"


def run(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    """Print journeys as they end, until a signal or until all that were asked for are told."""
    from probes.figures.table import netns_names

    nodes = dict(_node(text) for text in options.node) or netns_names()
    tracer = JourneyTracer(
        choice_of(options, options.netns),
        nodes,
        ring_octets=options.ring,
        costs=options.costs,
        styles=[Style(options.style)] if options.style else list(Style),
        cache_folder=options.cache,
        report=report,
    )
    try:
        _say(tracer.status() | {"kind": "ready"})
        with Beat(_TURN_S, None) as beat:
            for journey in told(tracer, options.count, beat.next):
                _say(tracer.as_json(journey))
        _say(tracer.status())
    finally:
        tracer.close()


class Follower(Protocol):
    """What journeys are asked of: a JourneyTracer."""

    def poll(self, patience_ns: int | None = None) -> Iterator[Journey]:
        """Give the journeys that have ended since the last call."""

    def is_spent(self) -> bool:
        """Say whether no journey is under way, and no more may begin."""


def told(tracer: Follower, count: int | None, goes_on: Callable[[], bool]) -> Iterator[Journey]:
    """Give journeys as they end, until all that were asked for are told, or none can come.

    count: how many journeys that are no copies. goes_on: waits for the next turn, and says whether
    there is one. A packet that was chosen, and of which every event was lost, is never told: when
    nothing more is under way in two turns it is not waited for.
    """
    number = idle = 0
    more = True
    while more and (count is None or (number < count and idle < _IDLE_TURNS)):
        more = goes_on()
        for journey in tracer.poll(None if more else 0):
            number += journey.original is None and not journey.again
            yield journey
        idle = idle + 1 if tracer.is_spent() else 0


def _node(text: str) -> tuple[int, str]:
    inode, _, name = text.partition("=")
    return int(inode), name


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)
