"""What a user sees while something runs: steps with a start, an end, a duration and an error.

Everything goes to standard error, so that ``--json`` on standard output stays clean.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from lab.pictures.width import cut


class Ended(Protocol):
    """How a named step ended (ansible-runner's tasks look like this too)."""

    @property
    def name(self) -> str:
        """What was done."""

    @property
    def state(self) -> str:
        """ok, changed, skipped or failed."""

    @property
    def message(self) -> str:
        """What to know when it failed."""

    @property
    def duration_s(self) -> float:
        """How long it took, in seconds."""


@dataclass(slots=True)
class Step:
    """One step of long work, with its duration."""

    name: str
    duration_s: float = 0.0
    error: str = ""


@dataclass(slots=True)
class Console:
    """Prints steps as they happen, and remembers them for the closing table."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    finished: list[Step] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time one step, and print it when it ends."""
        step = Step(name)
        started = time.monotonic()
        try:
            yield step
        except BaseException as error:
            step.error = type(error).__name__
            raise
        finally:
            step.duration_s = time.monotonic() - started
            self._finish(step)

    def steps(self) -> _TaskSteps:
        """Collect steps whose start and end are told by somebody else (ansible-runner)."""
        return _TaskSteps(self)

    def note(self, name: str, duration_s: float, error: str = "") -> None:
        """Print a step that somebody else timed."""
        self._finish(Step(name, duration_s, error))

    def _finish(self, step: Step) -> None:
        self.finished.append(step)
        mark = "✗" if step.error else "✓"
        self.say(f"  {mark} {step.name:<58} {step.duration_s:7.2f} s")


@dataclass(slots=True)
class _TaskSteps:
    console: Console

    def __enter__(self) -> _TaskSteps:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def started(self, name: str) -> None:
        self.console.say(f"  … {name}")

    def ended(self, task: Ended) -> None:
        if task.state != "skipped":
            error = task.message if task.state == "failed" else ""
            self.console.note(cut(f"{task.name} ({task.state})", 58), task.duration_s, error)
