"""A snapshot that does not work is made anew; when that fails too, the guest boots cold."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from lab.errors import CannotRun, MachineLost
from lab.places.appliance import starting
from lab.places.appliance.acceleration import Verdict
from lab.places.appliance.emulator import Emulator
from lab.places.appliance.kernelsource import find_source
from lab.places.appliance.machine import Home
from lab.places.appliance.manifest import Manifest
from lab.places.appliance.paths import Cache
from lab.places.appliance.starting import Parts, start


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def step(self, name: str) -> nullcontext[None]:
        return nullcontext()


@pytest.fixture
def discarded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    keys: list[str] = []
    monkeypatch.setattr(starting.snapshot, "discard", lambda _, key: keys.append(key))
    monkeypatch.setattr(starting.snapshot, "snapshot_key", lambda *_: "key")
    monkeypatch.setattr(starting.machine, "end", lambda *_: True)
    monkeypatch.setattr(starting.qemu, "read_version", lambda _: "QEMU emulator version 7.2")
    monkeypatch.setattr(starting.acceleration, "decide", lambda *_: Verdict("tcg", "a test", 1.0))
    chosen = Emulator("QEMU emulator version 7.2", 1)
    monkeypatch.setattr(starting.emulator, "choose", lambda *_: chosen)
    monkeypatch.setattr(starting._Starter, "boot", lambda _: "booted")
    return keys


ROUNDS = [
    (["restored"], "restored", 0),
    ([MachineLost("no answer"), "restored"], "restored", 1),
    ([CannotRun("QEMU did not start"), MachineLost("no answer")], "booted", 2),
]


@pytest.mark.parametrize(("outcomes", "expected", "tries"), ROUNDS)
def test_restoring_is_tried_then_renewed_then_given_up(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    discarded: list[str],
    outcomes: list[object],
    expected: str,
    tries: int,
) -> None:
    rest = iter(outcomes)

    def restore(_: object, key: str) -> object:
        outcome = next(rest)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(starting._Starter, "restore", restore)
    manifest = Manifest("image", "recipe", {"release": "6.12.1"}, {})
    parts = Parts(Cache(tmp_path), find_source("6.12"), manifest, manifest)
    recorder = Recorder()
    assert start(parts, Home(tmp_path, tmp_path), "lab", recorder) == expected
    assert discarded == ["key"] * tries
    assert len(recorder.lines) == tries
