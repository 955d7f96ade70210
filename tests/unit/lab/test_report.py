"""What a lab shows at the end of ``up``, also when one of its daemons is gone."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from l2tp.daemon.control import ControlError
from lab.report import as_json, closing_words
from lab.results import Observation, Result


def gone() -> dict[str, Any]:
    raise ControlError("no daemon answers on control.sock")


RESULT = Result.of("lives", "Does it?", [Observation("it does", True, "yes")], duration_s=0.1)
LIVE: Any = SimpleNamespace(lab="lab", statuses=gone)


def test_verdicts_are_shown_where_no_picture_can_be_drawn() -> None:
    words = closing_words(LIVE, [RESULT], [])
    assert "no picture: no daemon answers on control.sock" in words
    assert RESULT.name in words and "l2tp-lab down" in words


def test_the_document_says_what_it_lacks() -> None:
    document = json.loads(as_json(LIVE, [RESULT], []))
    assert document["status"] is None
    assert document["trouble"] == "no daemon answers on control.sock"
    assert document["checks"]
