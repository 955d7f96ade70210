"""A warm snapshot is made anew when this checkout's code has been another one for a while."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from lab.places.appliance import manifest
from lab.places.appliance.outdated import is_outdated
from lab.places.appliance.paths import Cache
from lab.places.appliance.snapshot import CODE, discard_older

THERE = {"lab/cli.py": "a", "tests/unit/test_cli.py": "a", "lab/topologies/default.yml": "a"}
NEWER = {**THERE, "lab/cli.py": "b"}
LATER_S = 3600.0


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LATER_S)


def test_code_that_stays_another_one_is_worth_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_outdated(tmp_path, THERE, NEWER)
    assert not is_outdated(tmp_path, THERE, NEWER)
    later(monkeypatch)
    assert is_outdated(tmp_path, THERE, NEWER)


def test_code_that_is_worked_on_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_outdated(tmp_path, THERE, NEWER)
    later(monkeypatch)
    assert not is_outdated(tmp_path, THERE, {**THERE, "lab/cli.py": "c"})


@pytest.mark.parametrize("name", ["tests/unit/test_cli.py", "lab/topologies/default.yml"])
def test_what_no_process_imports_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert not is_outdated(tmp_path, THERE, {**THERE, name: "b"})
    later(monkeypatch)
    assert not is_outdated(tmp_path, THERE, {**THERE, name: "b"})


def test_code_that_came_back_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_outdated(tmp_path, THERE, NEWER)
    assert not is_outdated(tmp_path, THERE, THERE)
    later(monkeypatch)
    assert not is_outdated(tmp_path, THERE, NEWER)


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"code": 5}'])
def test_a_note_that_says_nothing_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str
) -> None:
    (tmp_path / "newer.json").write_text(note)
    assert not is_outdated(tmp_path, THERE, NEWER)
    later(monkeypatch)
    assert is_outdated(tmp_path, THERE, NEWER)


def test_only_whole_snapshots_with_other_code_are_discarded(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for name in ("other", "other.new-1"):  # the second one is on its way
        (cache.warm / name).mkdir(parents=True)
        (cache.warm / name / CODE).write_text(json.dumps(THERE))
    manifest.describe(cache.warm / "other", "warm", "recipe", {})
    discard_older(cache)
    assert [path.name for path in cache.warm.iterdir()] == ["other.new-1"]
