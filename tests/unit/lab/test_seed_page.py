"""docs/seed.md: every claim has a check that exists, and no line of the seed is left out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/seed.md"
LAST_LINE = 169
_ROW = re.compile(r"^\| (\d+) \| (\d+)(?:–(\d+))? \| (.+?) \| (.+) \| (`.+`) \|$")
_CHECK = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def rows() -> list[tuple[str, ...]]:
    lines = PAGE.read_text().splitlines()
    return [match.groups() for line in lines if (match := _ROW.match(line))]


@cache
def names_in(name: str) -> frozenset[str]:
    trees = [ast.parse(file.read_text()) for file in (ROOT / "tests").rglob(name)]
    return frozenset(
        node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)
    )


def test_the_claims_are_numbered_one_by_one() -> None:
    assert [int(row[0]) for row in rows()] == list(range(1, len(rows()) + 1))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"claim-{row[0]}")
def test_every_claim_has_checks_that_exist(row: tuple[str, ...]) -> None:
    named = _CHECK.findall(row[5])
    assert named
    assert len(named) == row[5].count("`") // 2
    for file, test in named:
        assert test in names_in(file), f"{file} has no {test}"


def test_every_check_that_the_page_names_exists() -> None:
    for file, test in _CHECK.findall(PAGE.read_text()):
        assert test in names_in(file), f"{file} has no {test}"


def test_no_line_of_the_seed_is_left_out() -> None:
    told = {
        line for row in rows() for line in range(int(row[1]), int(row[2] or row[1]) + 1)
    }  # fmt: skip
    between = {15, 24, 34, 39, 44, 53, 58, 68, 72, 81, 84, 88, 97, 104, 134, 151, 160, 6, 49}
    assert set(range(1, LAST_LINE + 1)) - told <= between
