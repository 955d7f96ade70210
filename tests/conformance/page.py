"""The conformance page, made of the requirements and of the tests that name them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.markers import ROOT, marked_tests
from tests.conformance.requirements import DRIVER, REQUIREMENTS, SECTIONS, Requirement

PAGE = ROOT / "docs" / "rfc2661.md"
_HEAD = """\
# RFC 2661, requirement by requirement

What the RFC asks for, in our words; where the code does it; which tests show it.
`make docs` makes this page from `tests/conformance/requirements.py` and from the tests'
`rfc2661` markers. A test fails when the page is out of date, when a marker names no requirement, or
when a place is no longer there. “Not shown” is what the code does and no test is marked for.
"""


def make_page() -> str:
    """Write the whole page."""
    return "\n".join(_lines(marked_tests())) + "\n"


def _lines(tests: dict[str, list[str]]) -> Iterator[str]:
    yield _HEAD
    yield from _summary(tests)
    for section, title in SECTIONS.items():
        rows = [row for row in REQUIREMENTS if _belongs(row, section)]
        yield f"\n## §{section} {title}\n" if section != "A" else f"\n## Appendix A: {title}\n"
        yield "| | requirement | where | shown by |"
        yield "|---|---|---|---|"
        for row in rows:
            yield f"| {row.level} | {row.text} | {_place(row)} | {_shown(row, tests)} |"


def _belongs(row: Requirement, section: str) -> bool:
    return row.section == section or (row.section not in SECTIONS and _parent(row) == section)


def _parent(row: Requirement) -> str:
    return row.section.partition(".")[0]


def _summary(tests: dict[str, list[str]]) -> Iterator[str]:
    missing = [row for row in REQUIREMENTS if row.missing]
    unshown = [row for row in REQUIREMENTS if not row.missing and row.id not in tests]
    shown = len(REQUIREMENTS) - len(missing) - len(unshown)
    yield (
        f"{len(REQUIREMENTS)} requirements: {shown} shown by tests, {len(unshown)} not shown, "
        f"{len(missing)} not done or not wholly.\n"
    )
    if missing:
        yield "## Not done, or not wholly\n"
        for row in missing:
            why = row.missing[0].upper() + row.missing[1:]
            yield f"- §{row.section}, {row.level}: {row.text} *{why}.*"


def _place(row: Requirement) -> str:
    if not row.place:
        return "–"
    return row.place if row.place == DRIVER else f"`{row.place}`"


def _shown(row: Requirement, tests: dict[str, list[str]]) -> str:
    if row.missing and row.id not in tests:
        return f"not done: {row.missing}"
    names = [f"`{one.partition('tests/')[2]}`" for one in tests.get(row.id, [])]
    return "<br>".join(names) or "not shown"
