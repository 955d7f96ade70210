"""What l2tp-lab events prints of a daemon's record."""

import pytest

from lab.commands.events import line

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
