"""Waiting: what ends it, and how often is asked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from l2tp.daemon.control import ControlClient
from lab.errors import LabError
from lab.running.changes import Changes
from lab.waiting import wait_for


def test_what_came_is_returned_without_a_pause() -> None:
    assert wait_for(lambda: 7, "seven", deadline_s=5, pause=pytest.fail) == 7


def test_it_looks_again_after_each_pause() -> None:
    answers = iter([None, 0, 3])
    pauses: list[float] = []
    assert wait_for(lambda: next(answers), "three", deadline_s=5, pause=pauses.append) == 3
    assert len(pauses) == 2 and all(pause <= 500 for pause in pauses)


def test_a_problem_ends_the_wait_before_its_deadline() -> None:
    began = time.monotonic()
    with pytest.raises(LabError, match="the lamp will not come: no oil"):
        wait_for(lambda: None, "the lamp", deadline_s=600, problem=lambda: "no oil")
    assert time.monotonic() - began < 300


def test_at_the_deadline_the_problem_is_asked_for_once_more() -> None:
    with pytest.raises(LabError, match="will not come: no oil"):
        wait_for(lambda: None, "the lamp", deadline_s=0, problem=lambda: "no oil")
    with pytest.raises(LabError, match="the lamp did not come within 0 s"):
        wait_for(lambda: None, "the lamp", deadline_s=0)


class Daemon:
    """Answers the first request, and then says what it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        self._connection, _ = self._listener.accept()
        self._connection.recv(4096)
        self._connection.send(b'{"id": 1, "ok": true}\n')

    def say(self, *events: str) -> None:
        self._thread.join()
        assert self._connection
        for event in events:
            self._connection.send(json.dumps({"event": event}).encode() + b"\n")

    def end(self) -> None:
        self._thread.join()
        assert self._connection
        self._connection.close()
        self._listener.close()


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[dict[str, Daemon]]:
    made = {name: Daemon(tmp_path / name) for name in ("lac", "lns")}
    yield made
    for one in made.values():
        one.end()


def changes_of(daemons: dict[str, Daemon]) -> Changes:
    live = SimpleNamespace(
        daemons=list(daemons), peers=[], daemon=lambda node: ControlClient(daemons[node].path)
    )
    return Changes(live)  # type: ignore[arg-type]


def test_a_pause_ends_with_a_record_that_tells(daemons: dict[str, Daemon]) -> None:
    with changes_of(daemons) as changes:
        changes.pause(0.01)  # nothing is said, and nobody waits for ever
        daemons["lns"].say("MessageSent", "SessionReady")
        changes.pause(300)


def test_a_daemon_that_ended_tells_once(daemons: dict[str, Daemon]) -> None:
    with changes_of(daemons) as changes:
        daemons["lac"].say()
        daemons["lac"].end()
        changes.pause(300)
        changes.pause(0.01)
        daemons["lns"].say("TunnelClosed")
        changes.pause(300)
