"""``l2tp-lab bench``: measure the figures, with their conditions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--protocol", action="store_true", help="only the protocol core, in memory: needs no guest"
    )
    only.add_argument(
        "--tracing", action="store_true", help="only what tracing costs, in a machine of its own"
    )
    only.add_argument(
        "--setup",
        action="store_true",
        help="only what setting a session up costs the daemons, beside xl2tpd's",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often (3)")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure the protocol in memory and a lab in a machine of its own; print figures and goals."""
    if args.setup:
        from lab.bench.bringup import measure_setup_alone

        place, rounds = _place(args), max(1, args.rounds)
        _print(measure_setup_alone(console, place=place, rounds=rounds), args)
        return 0
    parts: list[dict[str, Any]] = []
    if not args.tracing:
        from lab.bench.protocol import measure_protocol

        with console.step("the protocol core, in memory"):
            parts.append(measure_protocol())
    if not (args.protocol or args.tracing):
        parts.append(_measure_lab(args, console))
    if not args.protocol:
        from lab.bench.tracing import measure_tracing

        parts.append(measure_tracing(console, place=_place(args), pairs=3 * max(1, args.rounds)))
    figures = [figure for part in parts for figure in part["figures"]]
    _print(
        {name: value for part in parts for name, value in part.items()} | {"figures": figures}, args
    )
    return 0


def _print(measured: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        rows = [{**asdict(figure), "median": figure.value} for figure in measured["figures"]]
        print(json.dumps({**measured, "figures": rows}, indent=1))
    else:
        print("\n".join(_lines(measured)))


def _place(args: argparse.Namespace) -> list[str]:
    place = ["--place", "appliance"]
    if kernel := getattr(args, "kernel", None):
        place += ["--kernel", kernel]
    return place


def _measure_lab(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from lab.bench.bringup import measure

    return measure(console, place=_place(args), rounds=max(1, args.rounds))


def _lines(measured: dict[str, Any]) -> Iterator[str]:
    from lab.pictures.width import folded, width_of

    width = width_of(sys.stdout)
    yield "conditions"
    for name, value in measured["conditions"].items():
        yield from folded(f"  {name:<16} {value}", width, " " * 19)
    yield f"\n{'figure (median)':<54}{'value':>9}{'goal':>9}"
    for figure in measured["figures"]:
        mark = " " if figure.is_met else "!"
        goal = f"< {figure.goal:g}" if figure.goal is not None else ""
        yield f"{figure.name:<54}{figure.value:>9.1f}{mark}{goal:>8} {figure.unit}".rstrip()
    for line in measured.get("remarks", ()):
        yield from folded(f"  {line}", width, "    ")
    yield "\nthe least and the most of several runs"
    for figure in measured["figures"]:
        if len(figure.values) > 1:
            runs = f"{min(figure.values):.1f} to {max(figure.values):.1f}"
            yield f"  {figure.name:<54}{runs:>16} {figure.unit}"
    if "profile" in measured:
        yield "\nwhere the time of the SCCRQ goes"
        for line in measured["profile"]:
            yield f"  {line}"
    if "steps" in measured:
        yield "\nwhere the seconds of the last bring-up went, inside the machine"
        for step in measured["steps"]:
            yield f"  {step['name']:<58}{step['duration_s']:>7.2f} s"
