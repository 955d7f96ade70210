"""Snapshots: what killed runs left on the way to one."""

from pathlib import Path

import pytest
from filelock import FileLock

from lab.places.appliance import machine, snapshot
from lab.places.appliance.machine import Home
from lab.places.appliance.paths import Cache


def test_machines_on_the_way_to_a_snapshot_end_where_nobody_makes_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    for name in (".warm-left", ".warm-made", "lab"):
        cache.machine(name).mkdir(parents=True)
    ended: list[Home] = []
    monkeypatch.setattr(machine, "end", lambda home, _: ended.append(home))
    with FileLock(cache.lock("warm-made")):
        snapshot.end_orphans(cache)
    assert ended == [Home.of(cache, ".warm-left")]
