"""Snapshots: what killed runs left on the way to one."""

from pathlib import Path

import pytest
from filelock import FileLock

from lab.places.appliance import commands, machine, snapshot
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


def test_the_log_of_a_restored_machine_has_the_boot_that_it_goes_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2TP_LAB_CACHE", str(tmp_path))
    home = Home.of(Cache(tmp_path), "lab")
    home.make()
    home.log.write_text("")
    assert commands.console_log("lab") == [
        (f"the console of lab lab's machine has been silent ({home.log})", "")
    ]
    made = tmp_path / "warm"
    made.mkdir()
    (made / snapshot.BOOT_LOG).write_text("l2tp-lab: userland up\n")
    snapshot.hand_boot_log_on(made, home)
    (what, boot), (since, console) = commands.console_log("lab")
    assert "was restored from the warm snapshot, and not booted" in what
    assert str(home.boot_log) in what
    assert boot == "l2tp-lab: userland up\n"
    assert since.endswith("the console has been silent") and console == ""
    home.log.write_text("a complaint\n")
    assert commands.console_log("lab")[1][1] == "a complaint\n"


def test_a_snapshot_without_the_log_of_its_boot_says_so(tmp_path: Path) -> None:
    home = Home.of(Cache(tmp_path), "lab")
    home.make()
    snapshot.hand_boot_log_on(tmp_path / "older", home)
    assert "did not keep it" in home.boot_log.read_text()
