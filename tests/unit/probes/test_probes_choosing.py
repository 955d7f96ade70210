"""Which rows a choice takes."""

import pytest

from probes.figures.choosing import Choice
from tests.unit.probes.test_probes_table import ROW

NAMES = {4026532000: "lab-lns"}


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(), True),
        (Choice(netns="lab-lns"), True),
        (Choice(netns="4026532000"), True),
        (Choice(netns="lab-lac"), False),
        (Choice(tunnel_id=7, session_id=9), True),
        (Choice(tunnel_id=9), False),
        (Choice(session_id=7), False),
        (Choice(direction="rx"), True),
        (Choice(direction="tx"), False),
        (Choice(kind="control"), True),
        (Choice(verdict="unknown_session"), True),
        (Choice(verdict="expired"), False),
    ],
)
def test_choice(choice: Choice, taken: bool) -> None:
    assert choice.takes(ROW, NAMES) is taken
