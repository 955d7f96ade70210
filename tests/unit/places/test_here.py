"""The place “here” for an ordinary user: chosen like for root, and run again through sudo."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.console import Console
from lab.doctor.model import Need
from lab.errors import CannotRun, UsageError
from lab.places import choose, here


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user on a box whose kernel has everything."""
    monkeypatch.delenv(choose.INSIDE, raising=False)
    monkeypatch.delenv(choose.SAID, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(choose, "missing", lambda need, *, installable: [])


def prepared(*_: object) -> None:
    raise AssertionError("the box is root's to prepare")


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The labs whose machines run; those that are up here have a folder in tmp_path."""
    labs: list[str] = []
    monkeypatch.setattr("lab.places.appliance.running.machine_runs", labs.__contains__)
    monkeypatch.setattr("lab.network.plan.RUNTIME", tmp_path)
    return labs


def test_the_choice_is_said_once_and_preparing_is_left_to_root(
    user: None, machines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "prepare_box", prepared)
    said = io.StringIO()
    args = argparse.Namespace(lab="lab")
    assert choose.choose(args, Console(said), starts=True) is None
    assert said.getvalue() == "place: here (this kernel has all that a lab needs)\n"
    monkeypatch.setenv(choose.SAID, "1")
    choose.choose(args, Console(said), starts=True)
    assert said.getvalue().count("\n") == 1


def test_a_kernel_or_a_machine_that_runs_speaks_for_the_appliance(
    user: None, machines: list[str], tmp_path: Path
) -> None:
    assert choose.decide(None, "two", "6.1") == choose.Choice(
        Need.APPLIANCE, "the kernel is asked for"
    )
    assert choose.decide(None, "two").need is Need.HERE
    machines.append("two")
    choice = choose.decide(None, "two")
    assert choice.need is Need.APPLIANCE
    assert choice.reason.endswith("to end it: l2tp-lab appliance stop --lab two")
    assert choose.decide("here", "two") == choose.Choice(Need.HERE, "asked for")
    assert choose.decide(None, "two", looks_at_all=True).need is Need.HERE
    (tmp_path / "two").mkdir()
    assert choose.decide(None, "two").need is Need.HERE


def test_a_kernel_contradicts_this_boxs_own(
    user: None, machines: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="leave one of them out"):
        choose.decide("here", "two", "6.1")
    (tmp_path / "two").mkdir()
    with pytest.raises(UsageError, match="remove it first: l2tp-lab down --lab two"):
        choose.decide(None, "two", "6.1")


def test_looking_for_a_machine_leaves_no_folder(
    user: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("L2TP_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "another's"))
    monkeypatch.setattr("lab.network.plan.RUNTIME", tmp_path)
    assert choose.decide(None, "two").need is Need.HERE
    assert list(tmp_path.iterdir()) == []


def test_what_looks_at_a_whole_kernel_needs_no_lab_and_no_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lacking(need: Need, *, installable: bool) -> list[tuple[Any, Any]]:
        row = argparse.Namespace(name="nftables")
        return [(row, argparse.Namespace(cure="another kernel"))]

    monkeypatch.delenv(choose.INSIDE, raising=False)
    monkeypatch.setattr(choose, "missing", lacking)
    monkeypatch.setattr("lab.places.appliance.running.running_kernel", lambda lab: None)
    console = Console(io.StringIO())

    def chosen(**words: object) -> object:
        return choose.choose(argparse.Namespace(lab="lab", **words), console, starts=False)

    assert chosen(all=True, place="here") is None
    assert chosen(all=True) is None
    for words in ({}, {"all": False}, {"all": True, "place": "appliance"}):
        with pytest.raises(choose.NothingRuns):
            chosen(**words)
    with pytest.raises(CannotRun):
        chosen(place="here")
    monkeypatch.setattr("lab.places.appliance.running.running_kernel", lambda lab: "6.12")
    assert chosen(all=True) is not None, "the machine that runs is the lab's box"


def test_the_command_line_runs_again_here_with_its_own_place_kept(
    user: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sudo = tmp_path / "sudo"
    words = "import json, sys; print(json.dumps(sys.argv[1:]))"
    # Asked whether it needs a password (-n), it does not.
    sudo.write_text(f"#!/bin/sh\n[ $1 = -n ] || {sys.executable} -c '{words}' \"$@\"\nexit $CODE\n")
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CODE", "0")
    for place, line in (
        (None, ["--place", "here", "status", "--json"]),
        ("here", ["status", "--json"]),
    ):
        assert here.as_root(argparse.Namespace(place=place), ["status", "--json"]) == 0
        ran = json.loads(capfd.readouterr().out)
        assert ran[ran.index("lab") + 1 :] == line
        assert f"{choose.SAID}=1" in ran


def test_nobody_to_ask_is_code_4_and_names_the_way_without_root(
    user: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match=r"l2tp-lab up\. Without root, in QEMU: .*appliance"):
        here.as_root(argparse.Namespace(), ["up"])
