"""What a lab shows at the end of ``up``, also when one of its daemons is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from l2tp.daemon.control import ControlError
from lab.errors import LabError
from lab.report import as_json, closing_words, views_text
from lab.results import Observation, Result
from lab.running.live import Live
from lab.running.views import Disagreement, Views
from lab.spelling import PLACE_ASKED_FOR
from lab.topology import Topology, load_topology


def gone() -> dict[str, Any]:
    raise ControlError("no daemon answers on control.sock")


RESULT = Result.of("lives", "Does it?", [Observation("it does", True, "yes")], duration_s=0.1)


def live(lab: str = "lab", topology: str = "default") -> Any:
    """Give a lab whose daemons do not answer; the rest is the real one's."""
    return replace_statuses(Live(lab, Path("/nonexistent")), load_topology(topology))


def replace_statuses(lab: Live, topology: Topology) -> Live:
    lab.__dict__.update(topology=topology, statuses=gone)
    return lab


LIVE: Any = live()


def test_verdicts_are_shown_where_no_picture_can_be_drawn() -> None:
    words = closing_words(LIVE, [RESULT], [])
    assert "no picture: no daemon answers on control.sock" in words
    assert RESULT.name in words and "l2tp-lab down" in words


def test_agreement_says_what_was_counted_and_fits_a_terminal() -> None:
    foreign = {"daemon": "xl2tpd", "tunnels": [{"sessions": [{}]}]}
    assert views_text(Views({"xlns": foreign}, 2, 3, ())) == (
        "daemons, netlink and /proc agree on 2 tunnel ends and 3 session ends; of these\n"
        "  1 tunnel end and 1 session end belong to xl2tpd, which tells nobody"
    )
    long = Disagreement("lac", 7, 9, "the daemon " + "has what netlink has not, " * 4)
    lines = views_text(Views({}, 1, 0, (long,))).splitlines()
    assert len(lines) > 2 and max(map(len, lines)) < 80


def test_the_document_says_what_it_lacks() -> None:
    document = json.loads(as_json(LIVE, [RESULT], []))
    assert document["status"] is None
    assert document["trouble"] == "no daemon answers on control.sock"
    assert document["checks"]


def what_next(lab: str, topology: str) -> list[str]:
    return [line.strip() for line in closing_words(live(lab, topology), [], []).splitlines()[-4:]]


def test_the_commands_to_try_next_are_those_of_this_lab_and_topology() -> None:
    words = what_next("lab", "default")
    assert [line.split("  ")[0] for line in words] == [
        "l2tp-lab trace",
        "l2tp-lab shell lac",
        "l2tp-lab check",
        "l2tp-lab down",
    ]
    assert words[1].endswith("ping 203.0.113.2")
    other = load_topology("vpn")
    node = what_next("lab", "vpn")[1].split("  ")[0].removeprefix("l2tp-lab shell ")
    assert node == other.l2tp.tunnels[0].lac != "lac"


def test_a_lab_with_a_name_or_a_place_of_its_own_is_named_in_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert what_next("two", "default")[3].startswith("l2tp-lab down --lab two  ")
    monkeypatch.setenv(PLACE_ASKED_FOR, "appliance")
    assert what_next("two", "default")[1].startswith(
        "l2tp-lab shell lac --lab two --place appliance  "
    )
    with pytest.raises(LabError, match="Bring it up: l2tp-lab up --lab none --place appliance"):
        Live.open("none")
