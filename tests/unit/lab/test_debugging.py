"""Whose messages are meant, and how they read."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.commands import debug
from lab.console import Console
from lab.errors import UsageError
from lab.instruments import kernelview
from lab.running.debugging import End, ends, filter_lines, ids, matching, message_line
from lab.running.live import Live
from probes.debugging.messages import Filter, message_of
from probes.debugging.spec import DEBUG, EVENTS, Category

STATUS = {
    "lac": {
        "tunnels": [
            {
                "local_tunnel_id": 5,
                "peer_tunnel_id": 6,
                "sessions": [
                    {"local_session_id": 7, "peer_session_id": 8},
                    {"local_session_id": 8, "peer_session_id": 7},
                ],
            }
        ]
    },
    "lns": {
        "tunnels": [
            {
                "local_tunnel_id": 6,
                "peer_tunnel_id": 5,
                "sessions": [
                    {"local_session_id": 8, "peer_session_id": 7},
                    {"local_session_id": 7, "peer_session_id": 8},
                ],
            }
        ]
    },
}


@pytest.mark.parametrize("text", ["", "x", "5/", "/7", "5/7/9", "-5", "123456"])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="such as 5/7"):
        ids(text)


def test_ids() -> None:
    assert ids("5") == (5, 0)
    assert ids("5/7") == (5, 7)


def test_both_ends_of_a_tunnel_are_found_by_either_id() -> None:
    both = [End("lac", 5, 0), End("lns", 6, 0)]
    assert list(matching(STATUS, 5, 0)) == both
    assert list(matching(STATUS, 6, 0)) == both
    assert list(matching(STATUS, 9, 0)) == []


def test_a_sessions_id_is_told_beside_its_own_tunnels() -> None:
    assert list(matching(STATUS, 5, 7)) == [End("lac", 5, 7), End("lns", 6, 8)]
    assert list(matching(STATUS, 6, 7)) == [End("lac", 5, 8), End("lns", 6, 7)]
    assert list(matching(STATUS, 5, 99)) == []


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a lab whose LNS's namespace has a tunnel 40 that no daemon made."""
    foreign = SimpleNamespace(tunnel_id=40, peer_tunnel_id=41)
    session = SimpleNamespace(tunnel_id=40, session_id=3, peer_session_id=4)
    in_kernel = {"netns-lns": ([foreign], [session])}
    monkeypatch.setattr(kernelview, "l2tp_objects", lambda netns: in_kernel.get(netns, ([], [])))
    return SimpleNamespace(
        lab="lab",
        ends=["lac", "lns"],
        netns=lambda node: f"netns-{node}",
        status=lambda node: STATUS[node],
        statuses=lambda: STATUS,
    )


@pytest.mark.parametrize(
    ("tunnel_id", "session_id", "node"),
    [(6, 0, "lns"), (6, 8, "lns"), (40, 0, "lns"), (40, 3, "lns"), (5, 0, "lac")],
)
def test_one_nodes_end_is_one_of_its_daemon_or_of_its_kernel(
    tunnel_id: int, session_id: int, node: str, live: Any
) -> None:
    assert ends(live, tunnel_id, session_id, node) == [End(node, tunnel_id, session_id)]


@pytest.mark.parametrize(
    ("tunnel_id", "session_id", "node", "words"),
    [
        (5, 0, "lns", r"lns has no tunnel 5; .* 6 \(the peer's: 5\), 40 \(the peer's: 41\)"),
        (6, 9, "lns", "lns has no session 9 in a tunnel 6; tunnel 6 has the sessions 8, 7"),
        (6, 0, "core", r"core has no tunnel 6; there are the tunnels \(none\)"),
        (9, 0, None, r"no daemon has a tunnel 9; there are the tunnels 5 \(the peer's: 6\), 6"),
    ],
)
def test_what_nobody_has_is_refused_with_what_there_is(
    tunnel_id: int, session_id: int, node: str | None, words: str, live: Any
) -> None:
    with pytest.raises(UsageError, match=words):
        ends(live, tunnel_id, session_id, node)


def test_what_is_still_on_can_be_switched_off_though_its_tunnel_is_gone(live: Any) -> None:
    gone = End("lns", 9, 0)
    assert ends(live, 9, 0, "lns", [gone]) == [gone]
    assert ends(live, 9, 0, None, [gone]) == [gone]
    with pytest.raises(UsageError):
        ends(live, 9, 0, "lac", [gone])


def test_what_is_still_on_at_the_other_end_is_switched_off_with_it(live: Any) -> None:
    gone = End("lns", 5, 0)
    assert ends(live, 5, 0, None, [gone]) == [*ends(live, 5, 0), gone]
    here = ends(live, 5, 0)[0]
    assert ends(live, 5, 0, None, [here]) == ends(live, 5, 0)


def test_following_ends_with_its_beat(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tracer:
        def __init__(self, *_: object) -> None:
            self.asked = 0

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def debug_messages(self) -> dict[str, list[Any]]:
            turns.append(self)
            assert len(turns) < 10, "nobody asks the beat"
            return {"messages": [], "filters": []}

    turns: list[Tracer] = []
    live.folder = Path("/nonexistent")
    monkeypatch.setattr(Live, "open", lambda lab: live)
    monkeypatch.setattr("lab.running.tracing.node_names", lambda live: {})
    monkeypatch.setattr("probes.client.TraceClient", Tracer)
    monkeypatch.setattr("probes.beat.Beat.next", lambda beat: len(turns) < 3)
    args = argparse.Namespace(lab="lab", ids=None, follow=True, json=True)
    assert debug.run(args, Console(io.StringIO())) == 0
    assert len(turns) == 3


def test_a_message_reads_with_its_node_ids_and_category() -> None:
    number = next(i for i, event in enumerate(EVENTS) if event.name == "session_pkt_oos")
    message = message_of(1_000, 41, 5, 7, number, 12, 0, 9, 3)
    line = message_line(message, {41: "lac"}, 0)
    assert line.endswith("lac 5/7            seq     drops frame 12: out of sequence, Nr is 9")


def test_what_was_not_said_is_counted() -> None:
    one = Filter(netns=41, tunnel_id=5, session_id=0, categories=["seq"], left_out=3, lost=2)
    (line,) = filter_lines([one], {41: "lac"})
    assert line.startswith("lac 5: seq; 3 messages left out")
    assert "2 lost" in line


def test_every_event_has_its_hook_and_every_category_its_events() -> None:
    assert [hook.function for hook in DEBUG.hooks] == [event.name for event in EVENTS]
    assert {event.category for event in EVENTS} == set(Category)
    assert all(hook.tracepoint == (event.category is not Category.DATA)
               for hook, event in zip(DEBUG.hooks, EVENTS, strict=True))  # fmt: skip


def test_every_event_can_be_said() -> None:
    for number in range(len(EVENTS)):
        assert message_of(1, 2, 3, 4, number, 5, 6, 7, 8)["text"]


def test_the_order_of_the_events_is_that_of_the_program() -> None:
    source = DEBUG.source_text()
    listed = source[source.index("enum debug_event {") :].split("}")[0].split("{")[1]
    names = [word.strip().lower() for word in listed.split(",") if word.strip()]
    spelled = [event.name for event in EVENTS]
    spelled[-2:] = ["received", "sending"]
    assert names == [*spelled, "debug_events"]
