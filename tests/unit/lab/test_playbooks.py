"""Playbooks by the real ansible-runner: what it is told, and what an interrupt leaves."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab import playbooks, setup
from lab.console import Console
from lab.errors import CannotRun
from lab.places.appliance.build import run_part
from lab.playbooks import TaskEnded, gist, run_playbook
from lab.waiting import wait_for

#: A task like mmdebstrap: told to end, it takes its time to remove what it has made.
_SLOW = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Take a while
      ansible.builtin.command:
        argv: [sh, -c, "trap 'rm {made}; exit 1' TERM; touch {made}; exec 3<>{fifo}; read -r x <&3"]
"""


def play(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "host.yml").write_text(text)
    monkeypatch.setattr(playbooks, "PLAYBOOKS", folder)


def ignore(_: object) -> None:
    """Nobody listens."""


def test_a_failed_task_is_told_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _SLOW.replace("[sh,", "[sh, -c, 'echo no such luck >&2; exit 3',")
    play(tmp_path, text, monkeypatch)
    ended: list[TaskEnded] = []
    with pytest.raises(CannotRun, match=r"(?s)failed at “Take a while”: .*no such luck"):
        run_playbook("host", {}, ignore, ended.append)
    assert [task.state for task in ended] == ["failed"]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "non-zero return code\nWARNING: Retrying (Retry(total=4))\n"
            "ERROR: Could not find a version\nERROR: No matching distribution found for x==1\n",
            "ERROR: Could not find a version; ERROR: No matching distribution found for x==1",
        ),
        (
            "non-zero return code\nI: running apt-get update...\nW: Failed to fetch it\n"
            "E: apt-get update failed\nI: main() received signal PIPE: waiting for setup...\n"
            "E: mmdebstrap failed to run\n",
            "E: apt-get update failed; E: mmdebstrap failed to run",
        ),
        (
            "Failed to update apt cache after 5 retries: ",
            "Failed to update apt cache after 5 retries",
        ),
        ("non-zero return code\n", "it said nothing"),
    ],
)
def test_of_all_that_was_said_the_cause_is_told(output: str, words: str) -> None:
    assert gist(output) == words


def test_what_cannot_be_installed_is_named_for_a_hand_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _SLOW.replace("[sh,", "[sh, -c, 'echo E: no network >&2; exit 100',")
    play(tmp_path, text, monkeypatch)
    with pytest.raises(CannotRun) as failed:
        setup._install(["ppp", "iperf3"], ["l2tp_ppp"], Console(io.StringIO()))
    assert str(failed.value).endswith(
        "failed at “Take a while”: E: no network. Check the network and apt's sources, then run it "
        "again; or as root: apt-get install --no-install-recommends ppp iperf3 && "
        "modprobe --all l2tp_ppp"
    )


def test_a_build_that_fails_shows_what_was_said_and_ends_with_one_paragraph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said_so = "'(echo one; echo two; echo E: no mirror) >&2; exit 25'"
    play(tmp_path, _SLOW.replace("[sh,", f"[sh, -c, {said_so},"), monkeypatch)
    (tmp_path / "host.yml").rename(tmp_path / "appliance.yml")
    said = io.StringIO()
    with pytest.raises(CannotRun, match=r"E: no mirror.*l2tp-lab appliance import FILE") as failed:
        run_part("image", "trixie", tmp_path, {}, Console(said), needed_mib=0)
    assert "\n" not in str(failed.value)
    assert "      one\n      two\n" in said.getvalue()


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_an_interrupt_ends_what_runs_and_leaves_nothing_of_it(
    number: signal.Signals,
    raised: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, fifo = tmp_path / "made", tmp_path / "fifo"
    os.mkfifo(fifo)
    play(tmp_path, _SLOW.format(made=made, fifo=fifo), monkeypatch)
    before = signal.getsignal(number)

    def interrupt() -> None:
        wait_for(made.exists, "the task's start", deadline_s=60.0)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(raised):
        run_playbook("host", {}, ignore, ignore)
    thread.join()
    assert not made.exists()
    assert signal.getsignal(number) is before


def test_an_installation_comes_to_its_end_before_an_interrupt_takes_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, fifo = tmp_path / "made", tmp_path / "fifo"
    os.mkfifo(fifo)
    play(tmp_path, _SLOW.format(made=made, fifo=fifo), monkeypatch)

    def interrupt() -> None:
        wait_for(made.exists, "the task's start", deadline_s=60.0)
        os.kill(os.getpid(), signal.SIGINT)
        fifo.write_text("go on\n")

    ended: list[TaskEnded] = []
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_playbook("host", {}, ignore, ended.append, can_stop=False)
    thread.join()
    assert [task.state for task in ended] == ["changed"]
    assert made.exists()


def test_what_is_ignored_stays_ignored() -> None:
    code = (
        "import os, signal\n"
        "from lab.interrupts import Interrupts\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with Interrupts() as interrupts:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    assert not interrupts.was_heard()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
