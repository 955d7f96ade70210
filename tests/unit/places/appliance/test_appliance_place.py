"""The machine that runs is taken as it is by commands that only use what is there."""

from __future__ import annotations

import argparse
import io
from contextlib import nullcontext
from pathlib import Path

import pytest

from lab.console import Console
from lab.errors import MachineLost, UsageError
from lab.places import choose
from lab.places.appliance import image, kernels, place, running, starting
from lab.places.appliance.machine import Home, Record, read_record
from lab.places.appliance.paths import Cache
from lab.places.appliance.place import AppliancePlace
from lab.places.appliance.process import Process

RECORD = Record("yesterday's image", "6.12", "6.12.1", "tcg", 1.0, True, 1.0, 1.0, {"a": "old"})
PUSHED = {"a": "new"}


class Wire:
    def __init__(self, *_: object) -> None:
        self.ran: list[list[str]] = []

    def is_open(self) -> bool:
        return True

    def run(self, argv: list[str], **_: object) -> int:
        self.ran.append(argv)
        return 7


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    cache = Cache(tmp_path / "cache")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def build(*_: object) -> None:
        raise AssertionError("something is built")

    monkeypatch.setattr(image, "ensure_image", build)
    monkeypatch.setattr(kernels, "ensure_bundle", build)
    monkeypatch.setattr(starting, "start", build)
    monkeypatch.setattr(place, "Connection", Wire)
    monkeypatch.setattr(place, "port_of", lambda _: 1)
    monkeypatch.setattr(place, "push", lambda *_, **__: PUSHED)
    monkeypatch.setattr(place, "locked", lambda *_: nullcontext())
    return cache


def test_it_is_not_replaced_because_something_else_would_be_built_by_now(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.of(cache, "lab")
    home.folder.mkdir(parents=True)
    RECORD.write(home)
    monkeypatch.setattr(Home, "find", lambda _: Process(1, ("qemu",)))
    there = AppliancePlace("lab", "", Console(io.StringIO()), cache=cache, attaches=True)
    there.prepare()
    assert there.run(["true"]) == 7
    record = read_record(home)
    assert record is not None
    assert (record.made_from, record.code) == (RECORD.made_from, PUSHED)
    with pytest.raises(AssertionError, match="something is built"):
        AppliancePlace("lab", "", Console(io.StringIO()), cache=cache).prepare()


def test_one_that_ended_meanwhile_is_named(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Home, "find", lambda _: None)
    there = AppliancePlace("lab", "", Console(io.StringIO()), cache=cache, attaches=True)
    with pytest.raises(MachineLost, match="machine of lab lab has just ended"):
        there.prepare()


@pytest.mark.parametrize("kernel", [None, "6.12"])
def test_a_command_that_uses_it_attaches(
    kernel: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "running_kernel", lambda _: "6.12")
    args = argparse.Namespace(lab="lab", place="appliance", kernel=kernel)
    there = choose.choose(args, Console(io.StringIO()), starts=False)
    assert isinstance(there, AppliancePlace)
    assert there.attaches


def test_another_kernel_cannot_be_had_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "running_kernel", lambda _: "6.12")
    args = argparse.Namespace(lab="lab", place="appliance", kernel="6.1")
    with pytest.raises(UsageError, match=r"--kernel 6.1: the machine of lab .* runs 6.12"):
        choose.choose(args, Console(io.StringIO()), starts=False)
