"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.topology.draft import Draft
from lab.topology.lines import FieldPath

Finding = tuple[FieldPath, str]
"""Where something is wrong, and what to do about it."""

Rule = Callable[[Draft], Iterator[Finding]]


def listed(names: list[str]) -> str:
    """List names for a message: ``a, b, c``, or that there are none."""
    return ", ".join(dict.fromkeys(names)) or "none yet"
