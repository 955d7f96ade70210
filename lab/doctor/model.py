"""The shapes of the doctor's table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Need(Enum):
    """Which place cannot do without a capability."""

    HERE = "here"
    APPLIANCE = "appliance"


class Answer(Enum):
    """What the box said when it was asked."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: what was seen, and for a “no” the cure."""

    answer: Answer
    detail: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Capability:
    """One row: what it is, who needs it, how to ask, and the Debian packages that bring it."""

    name: str
    ask: Callable[[], Finding]
    needed_by: frozenset[Need] = frozenset()
    packages: tuple[str, ...] = ()


def yes(detail: str) -> Finding:
    """Make the finding of something that is there."""
    return Finding(Answer.YES, detail)


def no(detail: str, cure: str) -> Finding:
    """Make the finding of something missing, with the command that brings it."""
    return Finding(Answer.NO, detail, cure)


def unknown(detail: str, cure: str) -> Finding:
    """Make the finding of something that could not be asked yet, with the command that asks."""
    return Finding(Answer.UNKNOWN, detail, cure)
