"""What a scenario says: each thing that it asserts, whether it holds, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One assertion: in words, whether it holds, and what the kernel showed."""

    asserts: str
    holds: bool
    seen: str
