"""What ends the wait for sessions: what the daemons themselves say has ended."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError
from lab.running import dialling


class NoChanges:
    """Nobody tells anything, and a pause is over at once."""

    def __init__(self, live: object) -> None:
        self.pause = lambda left_s: None

    def __enter__(self) -> NoChanges:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(dialling, "Changes", NoChanges)
    for node in ("lac", "lns"):
        (tmp_path / node).mkdir()
        (tmp_path / node / "log.jsonl").touch()
    status = {node: {"ended": [], "tunnels": []} for node in ("lac", "lns")}
    tunnel = SimpleNamespace(calls=["alice"])
    return SimpleNamespace(
        folder=tmp_path,
        daemons=["lac", "lns"],
        statuses=lambda: status,
        sessions=lambda given: [],
        topology=SimpleNamespace(
            l2tp=SimpleNamespace(tunnels=[tunnel]), node=lambda name: SimpleNamespace(kind=name)
        ),
    )


def closed(live: Any, node: str, *, time_ns: int) -> None:
    record = {
        "event": "SessionClosed",
        "time_ns": time_ns,
        "local_tunnel_id": 7,
        "local_session_id": 9,
        "cause": "CDN of the peer: no address is left",
    }
    (live.folder / node / "log.jsonl").write_text('{"event": "PppDown"}\n' + json.dumps(record))


def test_a_call_that_ended_at_its_lac_ends_the_wait(live: Any) -> None:
    closed(live, "lac", time_ns=5)
    with pytest.raises(LabError, match=r"lac: session 7/9 closed: CDN of the peer: no address"):
        dialling.wait_for_sessions(live, since_ns=0)


def test_what_ended_before_does_not(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(dialling, "_PATIENCE_A_SESSION_S", 0.4)
    closed(live, "lac", time_ns=5)
    with pytest.raises(LabError, match="did not come within"):
        dialling.wait_for_sessions(live, since_ns=6)


def test_a_closed_tunnel_says_why(live: Any) -> None:
    tunnel = {"local_tunnel_id": 7, "peer": "p:1701", "cause": "a wrong secret", "since_ns": 8}
    live.statuses()["lns"]["ended"].append(tunnel)
    with pytest.raises(LabError, match="lns: tunnel 7 to p:1701 closed: a wrong secret"):
        dialling.wait_for_sessions(live, since_ns=0)


def test_a_call_that_ended_says_what_its_daemon_knows_of_it(live: Any) -> None:
    closed(live, "lns", time_ns=5)
    live.status = lambda node: {"tunnels": []}
    with pytest.raises(LabError, match="session 7/9 of lns will not come: CDN of the peer: no add"):
        dialling.wait_for_session(live, "lns", 7, 9)
    with pytest.raises(LabError, match=r"it has ended; see .*log\.jsonl"):
        dialling.wait_for_session(live, "lac", 7, 9)
