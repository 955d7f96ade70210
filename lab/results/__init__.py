"""What checks came to: passed, failed, could not run here, or lost; and the exit code of it all.

The four are kept apart everywhere: a machine that went away says nothing about L2TP, and a check
that could not run has not passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """How one check ended."""

    PASS = "pass"
    FAIL = "fail"
    CANNOT_RUN = "cannot run"
    LOST = "lost"


EXIT_CODES = {Outcome.LOST: 3, Outcome.FAIL: 1, Outcome.CANNOT_RUN: 4, Outcome.PASS: 0}
"""The exit code of each outcome, the worst first: the first that occurs is a run's."""


class Seen(Protocol):
    """One assertion of a check, such as a scenario's finding."""

    @property
    def asserts(self) -> str:
        """What must hold, in words."""

    @property
    def holds(self) -> bool:
        """Whether it held."""

    @property
    def seen(self) -> str:
        """What was measured."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One assertion as it is kept in a result."""

    asserts: str
    holds: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Result:
    """One check: its question, what it asserted, how it ended and why, and how long it took."""

    name: str
    question: str
    outcome: Outcome
    duration_s: float
    observations: tuple[Observation, ...] = ()
    reason: str = ""

    @classmethod
    def of(
        cls, name: str, question: str, observations: Iterable[Seen], *, duration_s: float
    ) -> Result:
        """Judge a check that ran to its end; one that asserted nothing has failed."""
        kept = tuple(Observation(o.asserts, o.holds, o.seen) for o in observations)
        if not kept:
            return cls(name, question, Outcome.FAIL, duration_s, (), "it asserted nothing")
        wrong = [o for o in kept if not o.holds]
        reason = f"{len(wrong)} of {len(kept)} assertions do not hold" if wrong else ""
        return cls(
            name, question, Outcome.FAIL if wrong else Outcome.PASS, duration_s, kept, reason
        )

    @classmethod
    def broken_off(
        cls,
        name: str,
        question: str,
        observations: Iterable[Seen],
        *,
        outcome: Outcome,
        reason: str,
        duration_s: float,
    ) -> Result:
        """Record a check that did not run to its end, with what it had seen so far.

        An assertion that was seen not to hold makes it a failure, whatever came afterwards, unless
        the machine was lost.
        """
        kept = tuple(Observation(o.asserts, o.holds, o.seen) for o in observations)
        if outcome is Outcome.CANNOT_RUN and any(not o.holds for o in kept):
            outcome = Outcome.FAIL
        return cls(name, question, outcome, duration_s, kept, reason)


def exit_code(results: Sequence[Result]) -> int:
    """Give the exit code of a run: 3 when something was lost, else 1 when something failed, else
    4 when something (or everything, or nothing at all) could not run, else 0.
    """
    if not results:
        return EXIT_CODES[Outcome.CANNOT_RUN]
    outcomes = {result.outcome for result in results}
    return next(code for outcome, code in EXIT_CODES.items() if outcome in outcomes)


def count(results: Sequence[Result], outcome: Outcome) -> int:
    """Count the results with that outcome."""
    return sum(result.outcome is outcome for result in results)
