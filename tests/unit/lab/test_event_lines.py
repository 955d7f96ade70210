"""What l2tp-lab events prints of a daemon's record, and how it ends."""

import argparse
import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lab.commands import events
from lab.commands.events import line
from lab.console import Console
from lab.running.live import Live

WHEN = {"time_ns": 12_345_000_000, "wall_ns": 1}


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            {"event": "DaemonReady", "local_tunnel_id": None, "local_session_id": None},
            "12.345 lac - DaemonReady",
        ),
        (
            {
                "event": "MessageSent",
                "local_tunnel_id": 7,
                "local_session_id": 0,
                "name": "HELLO",
                "ns": 2,
                "message": {"x": 1},
                "cause": "",
            },
            "12.345 lac 7 MessageSent name=HELLO ns=2",
        ),
        (
            {"event": "PppUp", "local_tunnel_id": 7, "local_session_id": 9, "user": "alice"},
            "12.345 lac 7/9 PppUp user=alice",
        ),
    ],
)
def test_a_record_is_one_line(record, text):
    assert line("lac", {**WHEN, **record}) == text


def test_ctrl_c_is_its_end_in_good_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> Iterator[dict[str, Any]]:
        yield {"event": "DaemonReady", **WHEN}

    live = SimpleNamespace(
        daemons=["lac"], daemon=lambda node: SimpleNamespace(events=lambda: told())
    )
    monkeypatch.setattr(Live, "open", lambda lab: live)
    get = events.queue.Queue.get
    calls = iter((True, False))

    def interrupted(records: Any) -> Any:
        if next(calls):
            return get(records)
        raise KeyboardInterrupt

    monkeypatch.setattr(events.queue.Queue, "get", interrupted)
    args = argparse.Namespace(lab="lab", node=None, count=None, json=False)
    try:
        code = events.run(args, Console(io.StringIO()))
    except KeyboardInterrupt:  # which would end pytest itself
        code = 130
    assert code == 0
    assert capsys.readouterr().out == "12.345 lac - DaemonReady\n"
