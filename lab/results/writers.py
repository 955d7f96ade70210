"""Results as terminal text, JSON, JUnit XML and KTAP; pure, each a row of ``WRITERS``."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict

from lab.results import Observation, Outcome, Result, count, exit_code

WIDTH = 79

MOST_SHOWN = 32
"""Of so many observations of one check the terminal shows all."""

MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.CANNOT_RUN: "–", Outcome.LOST: "!"}
ASCII_MARKS = {Outcome.PASS: "+", Outcome.FAIL: "x", Outcome.CANNOT_RUN: "-", Outcome.LOST: "!"}

# Characters that no XML document may hold (XML 1.0 §2.2).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(results: Sequence[Result], *, ascii_only: bool = False) -> str:
    """Write results for a terminal: below 80 columns, details under what did not pass."""
    marks = ASCII_MARKS if ascii_only else MARKS
    lines = [line for result in results for line in _text_lines(result, marks)]
    lines += ["", _summary(results)]
    written = "\n".join(lines) + "\n"
    return written.encode("ascii", "replace").decode() if ascii_only else written


def _text_lines(result: Result, marks: Mapping[Outcome, str]) -> Iterator[str]:
    head = f"{marks[result.outcome]} {result.name}"
    if result.outcome is not Outcome.PASS:
        head += f": {result.outcome.value}"
    yield f"{head:<{WIDTH - 10}}{result.duration_s:8.2f} s"
    yield from _wrap(result.question, "  ", "  ")
    shown = _shown(result)
    for observation in shown:
        mark = marks[Outcome.PASS if observation.holds else Outcome.FAIL]
        yield from _wrap(observation.asserts, f"    {mark} ", "      ")
        yield from _wrap(observation.seen, "      ", "      ")
    if hidden := len(result.observations) - len(shown):
        yield f"    {marks[Outcome.PASS]} … and {hidden} more that hold; --json has them all"
    if result.reason:
        yield from _wrap(result.reason, "  → " if marks is MARKS else "  > ", "    ")


def _shown(result: Result) -> list[Observation]:
    """Give all observations, or of many those that do not hold and the first ones that do."""
    wrong = [one for one in result.observations if not one.holds]
    if len(result.observations) <= MOST_SHOWN:
        return list(result.observations)
    holding = [one for one in result.observations if one.holds][: MOST_SHOWN // 2]
    return [*holding, *wrong]


def _wrap(words: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(_one_line(words), WIDTH, initial_indent=first, subsequent_indent=rest)


def _summary(results: Sequence[Result]) -> str:
    counted = [
        f"{number} {word}"
        for word, outcome in (
            ("passed", Outcome.PASS),
            ("failed", Outcome.FAIL),
            ("could not run", Outcome.CANNOT_RUN),
            ("lost", Outcome.LOST),
        )
        if (number := count(results, outcome))
    ]
    return ", ".join(counted) or "nothing was checked"


def as_json(results: Sequence[Result]) -> str:
    """Write results as JSON: counts, the exit code, and every check with all that it saw."""
    document = {
        "exit_code": exit_code(results),
        "counts": {outcome.value: count(results, outcome) for outcome in Outcome},
        "duration_s": round(sum(result.duration_s for result in results), 6),
        "results": [asdict(result) for result in results],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def ktap(results: Sequence[Result]) -> str:
    """Write results as KTAP; what was lost is "not ok" and counts as an error."""
    lines = ["KTAP version 1", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        lines += [f"# {line}" for line in _diagnostics(result)]
        lines.append(_ktap_line(number, result))
    totals = {
        "pass": count(results, Outcome.PASS),
        "fail": count(results, Outcome.FAIL),
        "xfail": 0,
        "xpass": 0,
        "skip": count(results, Outcome.CANNOT_RUN),
        "error": count(results, Outcome.LOST),
    }
    lines.append("# Totals: " + " ".join(f"{name}:{number}" for name, number in totals.items()))
    return "\n".join(lines) + "\n"


def _ktap_line(number: int, result: Result) -> str:
    good = result.outcome in (Outcome.PASS, Outcome.CANNOT_RUN)
    line = f"{'ok' if good else 'not ok'} {number} {_one_line(result.name).replace('#', '_')}"
    if result.outcome is Outcome.CANNOT_RUN:
        line += f" # SKIP {_one_line(result.reason)}"
    return line


def _diagnostics(result: Result) -> Iterator[str]:
    yield _one_line(result.question)
    for observation in result.observations:
        word = "holds" if observation.holds else "DOES NOT HOLD"
        yield f"{word}: {_one_line(observation.asserts)}: {_one_line(observation.seen)}"
    if result.reason and result.outcome is not Outcome.CANNOT_RUN:
        yield f"{result.outcome.value}: {_one_line(result.reason)}"


def _one_line(words: str) -> str:
    # What was seen may hold a program's colours, which would reach the reader's terminal.
    return "".join(c if c.isprintable() else "?" for c in " ".join(words.split()))


# JUnit's element for each outcome; a test case that passed has none.
_ELEMENTS = {Outcome.FAIL: "failure", Outcome.CANNOT_RUN: "skipped", Outcome.LOST: "error"}


def junit(results: Sequence[Result]) -> str:
    """Write results as JUnit XML: a test case a check, its assertions in system-out."""
    from xml.etree import ElementTree as Tree

    counts = {
        "tests": str(len(results)),
        "failures": str(count(results, Outcome.FAIL)),
        "errors": str(count(results, Outcome.LOST)),
        "skipped": str(count(results, Outcome.CANNOT_RUN)),
        "time": f"{sum(result.duration_s for result in results):.3f}",
    }
    root = Tree.Element("testsuites", {"name": "l2tp-lab", **counts})
    suite = Tree.SubElement(root, "testsuite", {"name": "l2tp-lab", **counts})
    for result in results:
        attributes = {
            "classname": "l2tp-lab",
            "name": _xml(result.name),
            "time": f"{result.duration_s:.3f}",
        }
        case = Tree.SubElement(suite, "testcase", attributes)
        if result.outcome in _ELEMENTS:
            message = {"message": _xml(_one_line(result.reason))}
            element = Tree.SubElement(case, _ELEMENTS[result.outcome], message)
            wrong = [o for o in result.observations if not o.holds]
            element.text = _xml("\n".join(f"{o.asserts}: {o.seen}" for o in wrong)) or None
        Tree.SubElement(case, "system-out").text = _xml("\n".join(_diagnostics(result)))
    Tree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Tree.tostring(root, "unicode") + "\n"


def _xml(words: str) -> str:
    return _NOT_XML.sub("�", words)


WRITERS: dict[str, Callable[[Sequence[Result]], str]] = {
    "text": text,
    "json": as_json,
    "junit": junit,
    "ktap": ktap,
}
"""The forms that results can be written in, by the word that chooses one."""
