"""Switching debug messages through a tracer's socket, as far as that needs no kernel."""

from __future__ import annotations

from typing import Any

import pytest

from probes.client import TraceClient
from probes.debugging.debugger import Debugger
from probes.errors import ProbeError
from tests.unit.probes.test_probes_server import Exchange


def test_nothing_is_attached_and_nothing_said_before_the_first_switch() -> None:
    debugger = Debugger()
    answer = debugger.answer_messages({})
    assert answer == {"messages": [], "filters": []}
    debugger.close()


def test_switching_off_what_is_not_on_needs_no_kernel() -> None:
    request = {"netns": 1, "tunnel_id": 5, "session_id": 0, "categories": ["seq"], "on": False}
    assert Debugger().answer_switch(request) == {"filters": [], "missing": []}


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"netns": 1, "tunnel_id": 5, "session_id": 0, "categories": ["noise"], "on": True},
        {"netns": "x", "tunnel_id": 5, "session_id": 0, "categories": ["seq"], "on": True},
        {"netns": 1, "tunnel_id": 5, "session_id": 0, "categories": 4, "on": True},
    ],
)
def test_a_switch_that_makes_no_sense_is_refused(request_: dict[str, Any]) -> None:
    assert "not a switch" in Debugger().answer_switch(request_)["error"]


def test_a_server_answers_further_operations_with_the_request(tmp_path) -> None:
    asked: list[dict[str, Any]] = []

    def debug(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return {"error": "no"} if request["tunnel_id"] == 9 else {"filters": [], "missing": []}

    exchange = Exchange(tmp_path / "trace.sock", {"debug": debug})

    def act() -> object:
        with TraceClient(exchange.path) as client:
            with pytest.raises(ProbeError, match="refused `debug`: no"):
                client.switch_debug(1, 9, 0, ["seq"], on=True)
            return client.switch_debug(1, 5, 7, ("seq", "data"), on=False)

    assert exchange.run(act) == [{"filters": [], "missing": []}]
    assert asked[1] == {
        "op": "debug",
        "netns": 1,
        "tunnel_id": 5,
        "session_id": 7,
        "categories": ["seq", "data"],
        "on": False,
    }
