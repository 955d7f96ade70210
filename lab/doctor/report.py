"""Prints the doctor's findings, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.doctor.model import Answer, Capability, Finding
from lab.pictures.width import folded

Findings = Mapping[str, Sequence[tuple[Capability, Finding]]]

_MARKS = {Answer.YES: "✓", Answer.NO: "✗", Answer.UNKNOWN: "?"}
_NAME_WIDTH = 20


def as_text(findings: Findings, verdict: str, width: int | None = None) -> Iterator[str]:
    """Lay the findings out as lines of a table, each “no” with its cure below it.

    width: where lines are folded; None folds none.
    """
    under = " " * (_NAME_WIDTH + 5)
    for section, rows in findings.items():
        yield f"{section}"
        for capability, finding in rows:
            mark = _MARKS[finding.answer]
            line = f"  {mark} {capability.name:<{_NAME_WIDTH}} {finding.detail}"
            yield from folded(line, width, under)
            if finding.answer is not Answer.YES:
                yield from folded(f"{under}cure: {finding.cure}", width, f"{under}  ")
        yield ""
    for line in verdict.splitlines():
        yield from folded(line, width)


def as_json(findings: Findings, place: str | None, reason: str) -> str:
    """Write the findings as one JSON document."""
    rows = [
        _row(section, capability, finding)
        for section, section_rows in findings.items()
        for capability, finding in section_rows
    ]
    return json.dumps({"place": place, "reason": reason, "capabilities": rows}, indent=2)


def _row(section: str, capability: Capability, finding: Finding) -> dict[str, Any]:
    return {
        "section": section,
        "name": capability.name,
        "answer": finding.answer.value,
        "detail": finding.detail,
        "cure": finding.cure,
        "needed_by": sorted(need.value for need in capability.needed_by),
        "packages": list(capability.packages),
    }
