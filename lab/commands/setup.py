"""``l2tp-lab setup``: install what the doctor misses for the chosen place."""

from __future__ import annotations

import argparse

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--quiet", action="store_true", help="say nothing when nothing is missing")


def run(args: argparse.Namespace, console: Console) -> int:
    """Install and load what is missing; do nothing where nothing is."""
    from lab.places.choose import decide
    from lab.setup import prepare_box

    choice = decide(getattr(args, "place", None), args.lab, getattr(args, "kernel", None))
    console.say(f"place: {choice.need.value} ({choice.reason})")
    prepare_box(choice.need, Console(stream=console.stream))
    console.say("nothing is missing")
    return 0
