"""The command line: usage errors, exit codes, and what of it travels into the appliance."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from l2tp.daemon.control import ControlError, WrongRequest
from lab import cli
from lab.commands import COMMANDS
from lab.errors import CannotRun, LabError, MachineLost, UsageError
from lab.places.forward import forward
from lab.spelling import FILES_AS_TYPED, PLACE_ASKED_FOR
from probes.figures.table import COLUMNS


class RecordingPlace:
    """A place that keeps what it was asked to do, and answers with a code."""

    name = "recording"
    reason = "a test"

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.ran: list[list[str]] = []
        self.fetched: list[tuple[PurePosixPath, Path]] = []
        self.ports: list[int] = []

    def prepare(self) -> None:
        self.ran.clear()

    def run(self, argv: list[str], *, tty: bool = False, stdin: int | None = None) -> int:
        self.ran.append(list(argv))
        return self.code

    def fetch(self, source: PurePosixPath, target: Path) -> None:
        self.fetched.append((source, target))

    @contextmanager
    def reached(self, port: int) -> Iterator[None]:
        self.ports.append(port)
        yield
        self.ports.append(-port)


def forwarded(words: list[str], place: RecordingPlace, **values: object) -> list[str]:
    args = argparse.Namespace(**values)
    forward(place, COMMANDS[words[0] if words[0] in COMMANDS else words[-1]], args, words, {})
    line = place.ran[-1]
    return line[line.index("lab") + 1 :]


def test_options_about_places_stay_behind() -> None:
    words = ["status", "--place", "appliance", "--kernel=6.1", "--lab", "x", "--json"]
    assert forwarded(words, RecordingPlace()) == ["status", "--lab", "x", "--json"]


@pytest.mark.parametrize(
    "words",
    [
        ["--kernel", "6.1", "appliance", "build"],
        ["appliance", "--kernel", "6.1", "build"],
        ["appliance", "build", "--kernel", "6.1"],
    ],
)
def test_where_a_lab_runs_may_be_said_anywhere(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    module = COMMANDS["appliance"].module()
    monkeypatch.setattr(module, "run", lambda args, console: asked.append(args.kernel) or 0)
    assert cli.main(words) == 0
    assert asked == ["6.1"]


def test_a_port_that_is_served_is_reached_from_this_box_while_it_is() -> None:
    place = RecordingPlace()
    words = ["metrics", "--serve", "--port", "9900"]
    assert forwarded(words, place, serve=True, port=9900) == [*words, "--port=9900"]
    assert place.ports == [9900, -9900]
    chosen = forwarded(["metrics", "--serve", "--port=0"], place, serve=True, port=0)[-1]
    assert place.ports[2] == int(chosen.removeprefix("--port=")) > 0
    forwarded(["metrics"], place, serve=False, port=9900)
    assert len(place.ports) == 4


def test_a_users_own_command_travels_untouched() -> None:
    words = ["shell", "lns", "--", "echo", "--place", "here"]
    assert forwarded(words, RecordingPlace()) == words


def test_files_are_brought_in_and_output_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topology = tmp_path / "my.yml"
    topology.write_text("name: mine\n")
    place = RecordingPlace(code=1)
    words = ["up", "--topology", str(topology), f"--output={tmp_path}/run"]
    line = forwarded(words, place, topology=str(topology), output=f"{tmp_path}/run")
    assert line[:2] == ["up", "--topology"]
    assert line[2].endswith("/my.yml") and line[2] != str(topology)
    assert place.ran[-2][0] == "dd"
    ((source, target),) = place.fetched
    assert line[3] == f"--output={source}"
    assert target == tmp_path / "run"
    told = next(word for word in place.ran[-1] if word.startswith(FILES_AS_TYPED))
    assert json.loads(told.partition("=")[2]) == {
        line[2]: str(topology),
        str(source): f"{tmp_path}/run",
    }
    assert capsys.readouterr().err == f"wrote {tmp_path}/run\n"


@pytest.mark.parametrize("option", ["--output", "--out"])
def test_a_folder_may_be_called_like_something_else_on_the_line(option: str) -> None:
    place = RecordingPlace()
    line = forwarded(["check", "check", option, "check", "--lab", "check"], place, output="check")
    ((source, _),) = place.fetched
    assert line == ["check", "check", option, str(source), "--lab", "check"]


class EmptyPlace(RecordingPlace):
    """A place where a command ended before it wrote anything."""

    def fetch(self, source: PurePosixPath, target: Path) -> None:
        raise LabError("no such file")


@pytest.mark.parametrize("code", [1, 2, 4, 130])
def test_what_failed_before_it_wrote_its_output_keeps_its_exit_code(code: int) -> None:
    args = argparse.Namespace(output="run")
    words = ["check", "--output", "run"]
    assert forward(EmptyPlace(code), COMMANDS["check"], args, words, {}) == code
    with pytest.raises(LabError, match="no such file"):
        forward(EmptyPlace(0), COMMANDS["check"], args, words, {})


class LostPlace(EmptyPlace):
    """A machine that goes away under the command."""

    def run(self, argv: list[str], *, tty: bool = False, stdin: int | None = None) -> int:
        if "lab" in argv:
            raise MachineLost("the appliance was lost")
        return 0


def test_a_machine_that_was_lost_is_told_as_such_though_there_is_output_to_fetch() -> None:
    args = argparse.Namespace(output="run")
    with pytest.raises(MachineLost, match="was lost"):
        forward(LostPlace(), COMMANDS["check"], args, ["check", "--output", "run"], {})


def test_a_file_that_is_not_there_is_an_error_before_anything_runs() -> None:
    place = RecordingPlace()
    args = argparse.Namespace(topology="no/such.yml", output=None)
    with pytest.raises(UsageError, match=r"no/such\.yml"):
        forward(place, COMMANDS["up"], args, ["up", "--topology", "no/such.yml"], {})
    assert not any("lab" in line for line in place.ran)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LabError("x"), 1),
        (UsageError("x"), 2),
        (MachineLost("x"), 3),
        (CannotRun("x"), 4),
        (ControlError("x"), 1),
        (WrongRequest("x"), 2),
        (KeyError("unforeseen"), 1),
    ],
)
def test_errors_become_one_paragraph_and_an_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert cli.main(["status"]) == code
    said = capsys.readouterr().err
    assert said.startswith("l2tp-lab: ")
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [[], ["fly"], ["--lab", "No!", "up"], ["up", "--place", "moon"]])
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    assert stopped.value.code == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_fits_a_terminal(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "usage: l2tp-lab" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_tables_columns_are_explained_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["trace", "--help"])
    lines = capsys.readouterr().out.partition("the columns")[2].splitlines()
    explained = [word for line in lines for word in line[:17].split()]
    assert set(explained) >= set(COLUMNS)


def test_a_place_that_was_asked_for_is_known_where_the_command_runs() -> None:
    recorder = RecordingPlace()
    for asked, known in (({"place": "appliance"}, "appliance"), ({}, "")):
        forward(recorder, COMMANDS["up"], argparse.Namespace(**asked), ["up"], {})
        assert f"{PLACE_ASKED_FOR}={known}" in recorder.ran[-1]


@pytest.mark.parametrize("package", ["lab", "probes"])
def test_ctrl_c_leaves_no_traceback(package: str, tmp_path: Path) -> None:
    """As from an import, or before a command hears of signals."""
    (tmp_path / "sitecustomize.py").write_text(
        "import argparse\n"
        "def interrupted(*_):\n"
        "    raise KeyboardInterrupt\n"
        "argparse.ArgumentParser.parse_args = interrupted\n"
        "argparse.ArgumentParser.parse_known_args = interrupted\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", package, "status"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
