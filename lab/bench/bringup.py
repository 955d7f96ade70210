"""Measures how long things take on this box, with the conditions that the figures hold for.

Everything is done by the command line, as a user would, in a lab of its own.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lab.console import Console
from lab.errors import LabError

LAB = "bench"

#: How often a lab is brought down and up again in one machine, after the first time.
_CYCLES = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: every run's value, its unit, and what it should stay under, if so."""

    name: str
    values: tuple[float, ...]
    unit: str
    goal: float | None = None

    @property
    def value(self) -> float:
        """The median of the runs."""
        return median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether it stays under its goal; without one it always does."""
        return self.goal is None or self.value < self.goal


def measure(console: Console, *, place: Sequence[str], rounds: int) -> dict[str, Any]:
    """Run everything; return conditions, figures, and the steps of the last warm bring-up."""
    warm: list[float] = []
    first: list[float] = []
    again: list[float] = []
    steps: list[dict[str, Any]] = []
    before = os.getloadavg()[0]
    with console.step("a warm snapshot with this code, if there is none"):
        stop_machine(place)
        _discard_older_snapshots()
        run_words(["up"], place)
    for number in range(1, rounds + 1):
        with console.step(f"round {number} of {rounds}: warm bring-up, down and up again"):
            stop_machine(place)
            seconds, output = _timed(["up", "--json"], place)
            warm.append(seconds)
            steps = json.loads(output)["steps"]
            # What runs for the first time after a restore has to be translated by the emulator.
            first.append(_down_and_up(place))
            again += [_down_and_up(place) for _ in range(_CYCLES)]
    memory = machine_of(place)["memory_mib"]
    run_words(["down"], place)
    at_rest = machine_of(place)["memory_mib"]
    machine = machine_of(place)
    with console.step("what a session costs the daemons, beside xl2tpd's"):
        setup = _setup(place, rounds)
    stop_machine(place)
    figures = [
        Figure("warm bring-up, machine restored, to the first ping", tuple(warm), "s", 8.0),
        Figure("down and up again in a running machine", tuple(again), "s", 3.0),
        Figure("the same for the first time after a restore", tuple(first), "s", 3.0),
        Figure("the appliance with a lab up", (memory,), "MiB", 400.0),
        Figure("the appliance at rest", (at_rest,), "MiB", 400.0),
        Figure("the appliance's image on disk", (_image_mib(),), "MB", 700.0),
        *setup,
    ]
    return {"conditions": conditions(machine, before), "figures": figures, "steps": steps}


def measure_setup_alone(console: Console, *, place: Sequence[str], rounds: int) -> dict[str, Any]:
    """Measure what a session costs the daemons, beside xl2tpd's, and nothing else."""
    before = os.getloadavg()[0]
    with console.step("what a session costs the daemons, beside xl2tpd's"):
        figures = _setup(place, rounds)
    machine = machine_of(place)
    run_words(["appliance", "stop"], place)
    return {"conditions": conditions(machine, before), "figures": figures}


def _discard_older_snapshots() -> None:
    # Late: what runs in the guest imports this file for its figures, and has not what these need.
    from lab.places.appliance.paths import default_cache
    from lab.places.appliance.snapshot import discard_older

    discard_older(default_cache())


def _down_and_up(place: Sequence[str]) -> float:
    return _timed(["down"], place)[0] + _timed(["up"], place)[0]


def _setup(place: Sequence[str], rounds: int) -> list[Figure]:
    command = ["python3", "-m", "lab.bench.setup", str(rounds)]
    rows = json.loads(run_words(["shell", "--", *command], place))
    return [Figure(row["name"], tuple(row["values"]), row["unit"]) for row in rows]


def conditions(machine: dict[str, Any], load: float) -> dict[str, Any]:
    """Say what the figures hold for."""
    return {
        **host_conditions(load),
        "guest_kernel": machine["kernel"],
        "acceleration": machine["acceleration"],
    }


def host_conditions(load: float) -> dict[str, Any]:
    """Say what figures hold for that need no guest; ``load`` was the box's before them."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_before": round(load, 2),
        "host_kernel": platform.release(),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def stop_machine(place: Sequence[str]) -> None:
    """End the bench's machine."""
    run_words(["appliance", "stop"], place)


def machine_of(place: Sequence[str]) -> dict[str, Any]:
    """Ask what the bench's machine is: kernel, acceleration, memory."""
    rows = json.loads(run_words(["appliance", "status", "--json"], place))["machines"]
    found: dict[str, Any] = next(row for row in rows if row["lab"] == LAB)
    return found


def _image_mib() -> float:
    from lab.places.appliance.image import ROOT
    from lab.places.appliance.paths import default_cache

    # Blocks on disk, not the length: the file has holes.
    return (default_cache().image / ROOT).stat().st_blocks * 512 / 1e6


def _timed(words: list[str], place: Sequence[str]) -> tuple[float, str]:
    started = time.monotonic()
    output = run_words(words, place)
    return time.monotonic() - started, output


def run_words(words: list[str], place: Sequence[str]) -> str:
    """Run a command in the bench's lab, return what it printed; raises LabError where it fails."""
    command = [sys.executable, "-m", "lab", *place, "--lab", LAB, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(words)} ended with code {done.returncode}:\n{done.stderr}")
    return done.stdout
