"""The table of verdicts: complete, and the same in C."""

import re

import pytest

from probes.figures.verdicts import (
    BY_LABEL,
    MEANINGS,
    RECEIVED,
    TRANSMITTED,
    WAITING,
    Outcome,
    Verdict,
)
from probes.hooks.spec import BPF_FOLDER


def test_the_enum_in_c_has_the_same_names_in_the_same_order() -> None:
    body = re.search(r"enum verdict \{(.*?)\};", (BPF_FOLDER / "verdicts.h").read_text(), re.DOTALL)
    assert body
    assert re.findall(r"\bVERDICT_([A-Z_]+),", body.group(1)) == [v.name for v in Verdict]
    assert [int(v) for v in Verdict] == list(range(len(Verdict)))


def test_every_verdict_has_a_meaning_of_its_own() -> None:
    assert set(MEANINGS) == set(Verdict)
    assert len({meaning.says for meaning in MEANINGS.values()}) == len(Verdict)
    assert set(RECEIVED) | set(TRANSMITTED) == set(Verdict)
    assert BY_LABEL["out_of_sequence"] is Verdict.OUT_OF_SEQUENCE


def test_only_drops_are_called_dropped() -> None:
    for verdict, meaning in MEANINGS.items():
        assert meaning.says.startswith("dropped: ") == (meaning.outcome is Outcome.DROPPED), verdict


@pytest.mark.parametrize(
    ("verdict", "recorded"),
    [
        (Verdict.OUT_OF_SEQUENCE, True),
        (Verdict.OUTSIDE_WINDOW, True),
        (Verdict.SOCKET_FULL, True),
        (Verdict.NOT_CONNECTED, True),
        (Verdict.NO_SOCKET, False),
        (Verdict.CHANNEL_GONE, False),
        (Verdict.QUEUE_FULL, False),
        (Verdict.SEND_ABORTED, False),
        (Verdict.UNKNOWN_SESSION, False),
        (Verdict.WRONG_VERSION, None),
        (Verdict.DELIVERED, None),
        (Verdict.WAITING_PPP, None),
    ],
)
def test_causes_that_no_counter_records_are_known(verdict: Verdict, recorded: bool | None) -> None:
    assert verdict.meaning.is_recorded is recorded


def test_what_waits_is_not_final() -> None:
    assert {verdict.label for verdict in WAITING} == {
        "waiting_reorder", "waiting_ppp", "waiting_socket",
    }  # fmt: skip
