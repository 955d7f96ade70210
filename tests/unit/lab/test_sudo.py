"""Root through sudo: a stand-in for sudo on PATH, no terminal, and an ordinary user's uid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_PRELUDE = "import os, sys; os.geteuid = lambda: 1000; os.getgroups = lambda: []\n"


def sudo_that(tmp_path: Path, script: str) -> None:
    """Put a program called sudo, and nothing else, on a PATH."""
    program = tmp_path / "sudo"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def as_a_user(path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python as uid 1000 believes to be, in a session without a terminal."""
    return subprocess.run(
        [sys.executable, "-c", _PRELUDE + code],
        env={**os.environ, "PATH": str(path)},
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )


_ASK = """
from lab.errors import CannotRun
from lab.sudo import ask_for_root, l2tp_lab
try:
    print(ask_for_root("a lab on this kernel", l2tp_lab(["up", "--lab", "x"]), "Or so"))
except CannotRun as error:
    print(error)
"""


def test_without_a_terminal_the_exact_command_is_named(tmp_path: Path) -> None:
    sudo_that(tmp_path, "exit 1")
    said = as_a_user(tmp_path, _ASK).stdout
    program = Path(sys.executable).with_name("l2tp-lab")
    assert "there is no terminal for sudo to ask on" in said
    assert said.rstrip().endswith(f"Run: sudo {program} up --lab x. Or so")


def test_without_sudo_root_is_to_run_it(tmp_path: Path) -> None:
    said = as_a_user(tmp_path, _ASK).stdout
    assert "this box has no sudo. Run as root: " in said


def test_a_sudo_that_asks_nothing_is_used(tmp_path: Path) -> None:
    sudo_that(tmp_path, "exit 0")
    assert as_a_user(tmp_path, _ASK).stdout.strip() == str(tmp_path / "sudo")


@pytest.mark.parametrize(("code", "may"), [(0, True), (1, False)])
def test_a_user_in_no_group_of_sudo_may_only_what_sudo_says(
    tmp_path: Path, code: int, may: bool
) -> None:
    sudo_that(tmp_path, f"exit {code}")
    asked = as_a_user(tmp_path, "from lab.sudo import may_become_root; print(may_become_root())")
    assert asked.stdout.strip() == str(may)


_RUN = """
from lab.sudo import run_as_root
sys.exit(run_as_root({sudo!r}, ["status", "--json"], {{"SAID": "a b"}}))
"""


def test_the_command_line_runs_again_through_sudo_with_its_exit_code(tmp_path: Path) -> None:
    words = "import json, sys; print(json.dumps(sys.argv[1:]))"
    sudo_that(tmp_path, f"{sys.executable} -c '{words}' \"$@\"; exit 3")
    done = as_a_user(tmp_path, _RUN.format(sudo=str(tmp_path / "sudo")))
    assert done.returncode == 3
    line = json.loads(done.stdout)
    assert line[0] == "env"
    assert {"SAID=a b", "PYTHONDONTWRITEBYTECODE=1"} <= set(line)
    assert line[line.index(sys.executable) :] == [
        *(sys.executable, "-P", "-m", "lab"),
        *("status", "--json"),
    ]


_INTERRUPTED = """
from lab.sudo import run_as_root
code = run_as_root({sudo!r}, ["trace"])
print("went on")
sys.exit(code)
"""

#: Takes longer to end than Python waits for an interrupted child by itself.
_IN_GOOD_ORDER = """
import os, signal, sys, time
def end(*_):
    time.sleep(1)
    sys.exit(7)
signal.signal(signal.SIGINT, end)
os.killpg(0, signal.SIGINT)
time.sleep(60)
"""


def test_ctrl_c_is_the_childs_to_answer(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(_IN_GOOD_ORDER)
    sudo_that(tmp_path, f"exec {sys.executable} {tmp_path / 'child.py'}")
    done = as_a_user(tmp_path, _INTERRUPTED.format(sudo=str(tmp_path / "sudo")))
    assert (done.returncode, done.stdout) == (7, "went on\n"), done.stderr
