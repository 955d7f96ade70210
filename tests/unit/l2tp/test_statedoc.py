"""The document drawn from the state tables."""

import subprocess
import sys
from pathlib import Path

import pytest

from l2tp.protocol.call_transitions import SESSION_TABLES
from l2tp.protocol.statedoc import document
from l2tp.protocol.transitions import TUNNEL_TABLE

PAGE = Path(__file__).parents[3] / "docs" / "states.md"
TABLES = [TUNNEL_TABLE, *SESSION_TABLES.values()]


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "make docs draws it anew"


@pytest.mark.parametrize("index", range(len(TABLES)))
def test_a_picture_has_every_state_and_every_way(index: int) -> None:
    picture = document().split("```mermaid\n")[1 + index].split("```")[0]
    for row in TABLES[index].rows:
        for state in row.states:
            assert f'"{state}" as ' in picture
            if row.next_state not in (None, state):
                arrow = f"    {in_picture(state)} --> {in_picture(row.next_state)}: "
                lines = [line for line in picture.splitlines() if line.startswith(arrow)]
                assert any(all(event in line for event in row.inputs) for line in lines)


def in_picture(state: str) -> str:
    return state.replace("-", "_")


def test_the_command_says_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "l2tp.protocol.statedoc"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "usage" in done.stderr
