"""Prints the doctor's findings, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.doctor.model import Answer, Capability, Finding

Findings = Mapping[str, Sequence[tuple[Capability, Finding]]]

_MARKS = {Answer.YES: "✓", Answer.NO: "✗", Answer.UNKNOWN: "?"}
_NAME_WIDTH = 20


def as_text(findings: Findings, verdict: str) -> Iterator[str]:
    """Lay the findings out as lines of a table, each “no” with its cure below it."""
    for section, rows in findings.items():
        yield f"{section}"
        for capability, finding in rows:
            mark = _MARKS[finding.answer]
            yield f"  {mark} {capability.name:<{_NAME_WIDTH}} {finding.detail}"
            if finding.answer is not Answer.YES:
                yield f"    {'':<{_NAME_WIDTH}} cure: {finding.cure}"
        yield ""
    yield verdict


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
