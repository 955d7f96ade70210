"""Red tests of the checks themselves: what goes wrong in a scenario must show in its result."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from l2tp.daemon.control import ControlError
from lab.checks import CHECKS, run_checks, run_scenario, select
from lab.console import Console
from lab.errors import CannotRun, LabError, MachineLost, UsageError
from lab.results import Outcome
from lab.scenarios.finding import Finding
from probes.errors import ProbeError


class Scenario:
    QUESTION = "Does it hold?"

    def __init__(self, *steps: Finding | Exception) -> None:
        self.steps = steps

    def run(self, live: Any) -> Iterator[Finding]:
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            yield step


GOOD = Finding("it holds", True, "it did")
BAD = Finding("it holds", False, "it did not")


@pytest.mark.parametrize(
    ("steps", "outcome", "kept"),
    [
        ((GOOD,), Outcome.PASS, 1),
        ((GOOD, BAD), Outcome.FAIL, 2),
        ((), Outcome.FAIL, 0),
        ((GOOD, CannotRun("no iperf3")), Outcome.CANNOT_RUN, 1),
        ((BAD, CannotRun("no iperf3")), Outcome.FAIL, 1),
        ((GOOD, LabError("no quiet")), Outcome.FAIL, 1),
        ((GOOD, ControlError("no daemon answers")), Outcome.FAIL, 1),
        ((GOOD, ProbeError("no tracer", "Start it.")), Outcome.FAIL, 1),
        ((GOOD, MachineLost("gone")), Outcome.LOST, 1),
        ((BAD, MachineLost("gone")), Outcome.LOST, 1),
    ],
)
def test_outcomes(steps: tuple[Any, ...], outcome: Outcome, kept: int) -> None:
    result = run_scenario("x", Scenario(*steps), None)  # type: ignore[arg-type]
    assert result.outcome is outcome
    assert len(result.observations) == kept
    assert result.outcome is Outcome.PASS or result.reason


@pytest.mark.parametrize(
    ("peers", "where"), [((), "lac 5/7"), (("lac",), "lns 6/8")], ids=["ours", "xl2tpd"]
)
def test_sessions_that_the_topology_does_not_dial_are_named_where_they_can_be_hung_up(
    peers: tuple[str, ...], where: str
) -> None:
    ends = SimpleNamespace(
        tunnel=SimpleNamespace(lac="lac", lns="lns"),
        lac_tunnel={"local_tunnel_id": 5},
        lac={"local_session_id": 7},
        lns_tunnel={"local_tunnel_id": 6},
        lns={"local_session_id": 8},
    )
    live: Any = SimpleNamespace(lab="two", peers=peers, dialled_by_hand=lambda: [ends])
    with pytest.raises(UsageError, match=f"Hang up first: l2tp-lab hangup {where} --lab two"):
        run_checks(live, CHECKS, Console(io.StringIO()))


def test_checks_are_chosen_in_the_order_of_running() -> None:
    assert select([]) == list(CHECKS)
    assert select([CHECKS[2], CHECKS[0]]) == [CHECKS[0], CHECKS[2]]


def test_an_unknown_check_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"“pings”.*ping_through"):
        select(["pings"])
