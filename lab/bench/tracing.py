"""What tracing costs, measured in a machine of its own: medians, intervals, goals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from lab.bench.bringup import LAB, Figure, conditions, machine_of, run_words, stop_machine
from lab.console import Console
from lab.errors import LabError

#: By how much a packet may cost more with counters on, in percent.
_GOALS = {"full size": 3.0, "64 bytes": 8.0}
_START_S, _MEMORY_MB = 4.0, 150.0


def measure_tracing(console: Console, *, place: Sequence[str], pairs: int) -> dict[str, Any]:
    """Run the measurement in the appliance; return conditions, figures and remarks."""
    load = os.getloadavg()[0]
    with console.step("tracing: instructions a packet takes, where a processor counts them"):
        counted = _count_there(place, max(1, pairs // 4))
    with console.step(f"tracing: {pairs} pairs of off and on, programs, the highest rate"):
        found = _run_there(place, pairs)
    told = conditions(machine_of(place), load)
    stop_machine(place)
    return {
        "conditions": {**told, "guest_cpus": found["cpus"]},
        "figures": [*counted_figures(counted), *figures_of(found)],
        "remarks": list(remarks_of(found)),
        "measured": {**found, "counted": counted},
    }


def _count_there(place: Sequence[str], rounds: int) -> dict[str, Any]:
    """Measure where instructions are counted: through a lab, and the driver's path alone."""
    stop_machine(place)
    run_words(["appliance", "start", "--counted"], place)
    try:
        run_words(["up"], place)
        return _inside(place, ["lab.bench.traced.counted", LAB, "--rounds", str(rounds)])
    finally:
        stop_machine(place)


def _run_there(place: Sequence[str], pairs: int) -> dict[str, Any]:
    return _inside(place, ["lab.bench.traced", "--pairs", str(pairs)])


def _inside(place: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    inside = ["shell", "--", "python3", "-m", *words]
    done = subprocess.run(
        [sys.executable, "-m", "lab", *place, "--lab", LAB, *inside],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"the measurement ended with code {done.returncode}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def counted_figures(found: dict[str, Any]) -> Iterator[Figure]:
    """Make figures of what was counted: only of packets through the lab have they goals.

    What comes in between only adds instructions, so the least of each kind are compared.
    """
    for way, said in (("through", "through the lab"), ("alone", "the driver's path alone")):
        costs = found[way]
        for name, goal in _GOALS.items():
            off = costs["off"][name]
            thousands = tuple(count / 1000 for count in off)
            yield Figure(f"instructions, {name}, {said}", thousands, "k")
            least = [min(off)]
            empty = overheads(least, [min(costs["empty"][name])])
            yield Figure("  programs that do nothing: more by", empty, "%")
            on = overheads(least, [min(costs["on"][name])])
            yield Figure("  counters on: more by", on, "%", goal if way == "through" else None)


def figures_of(found: dict[str, Any]) -> list[Figure]:
    """Make figures with their goals of what was measured in the machine."""
    pairs = found["pairs"]
    figures = []
    for name in _GOALS:
        off, on = pairs["off_ns"][name], pairs["on_ns"][name]
        figures += [
            Figure(f"a packet of {name}, tracing off", tuple(ns / 1000 for ns in off), "us"),
            Figure(f"a packet of {name}, counters on", tuple(ns / 1000 for ns in on), "us"),
            Figure(f"counters on: a packet of {name} costs more by", overheads(off, on), "%"),
            Figure(
                f"journeys on as well, one in {found['journeys']['one_in']}: more by",
                overheads(off, pairs["journeys_ns"][name]),
                "%",
            ),
        ]
    costs = found["programs_ns"]
    theirs = costs["bpftrace"]
    for style in ("fentry", "kprobe", "bpftrace"):
        for name in _GOALS:
            if name in costs[style]:
                goal_ns = theirs.get(name) if style == "fentry" else None
                label = f"programs by {style}, a packet of {name}"
                figures.append(Figure(label, (costs[style][name],), "ns", goal_ns))
    flood = found["flood"]
    rate = flood["driver_received"] / flood["seconds"] / 1000
    missing = abs(flood["driver_received"] - flood["probes_received"])
    missing += abs(flood["driver_sent"] - flood["probes_sent"])
    return [
        *figures,
        Figure("the highest rate, all CPUs sending 64 bytes", (rate,), "kpkt/s"),
        Figure("of these, not in the figures to the packet", (float(missing),), "", 0.5),
        Figure("tracer, start to first figures, warm", tuple(pairs["started_s"]), "s", _START_S),
        Figure("tracer, memory at most", tuple(pairs["memory_mb"]), "MB", _MEMORY_MB),
    ]


def overheads(off: Sequence[float], on: Sequence[float]) -> tuple[float, ...]:
    """Give for each pair by how many percent "on" is more."""
    return tuple(100 * (with_it / without - 1) for without, with_it in zip(off, on, strict=True))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Give the middle half of some values: quartiles, as medians of the two halves."""
    ordered = sorted(values)
    half = max(1, (len(ordered) + 1) // 2)
    return median(ordered[:half]), median(ordered[-half:])


def remarks_of(found: dict[str, Any]) -> list[str]:
    """Say what figures do not: intervals, what could not be measured, what agreed."""
    pairs = found["pairs"]
    remarks = []
    for name in _GOALS:
        low, high = interval(overheads(pairs["off_ns"][name], pairs["on_ns"][name]))
        remarks.append(
            f"{name}: the middle half of the pairs lies from {low:+.1f} to {high:+.1f} %"
        )
    for style, costs in found["programs_ns"].items():
        if "why_not" in costs:
            remarks.append(f"{style} was not measured: {costs['why_not']}")
    flood = found["flood"]
    agree = "agrees" if flood["reconciled"] else "DOES NOT AGREE"
    remarks.append(
        f"at the highest rate the driver {agree}: {flood['driver_sent']} sent and"
        f" {flood['driver_received']} received, {flood['probes_sent']} and"
        f" {flood['probes_received']} in the figures; {flood['lost_events']} events lost"
    )
    journeys = found["journeys"]
    rate = journeys["driver_sent"] / journeys["seconds"] / 1000
    remarks.append(
        f"journeys, one in {journeys['one_in']} of {journeys['eligible']} packets ({rate:.1f}"
        f" kpkt/s): {journeys['told']} told, {journeys['lost_events']} events known to be lost"
    )
    return remarks
