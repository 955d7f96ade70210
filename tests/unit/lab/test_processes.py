"""Starting programs, and telling one process from another that has its pid."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.network.plan import Process
from lab.network.processes import (
    MARK,
    ProcessError,
    Running,
    is_alive,
    marked_processes,
    start_process,
    start_ticks,
    stop_processes,
)

PATIENCE_S = 30.0


def test_a_process_is_started_marked_and_stopped(tmp_path: Path) -> None:
    log = tmp_path / "log"
    step = Process("p", None, ("sh", "-c", f"echo ${MARK}; exec sleep 1000"), str(log))
    running = start_process(step, run="run-of-this-test", netns=None)
    try:
        assert is_alive(running)
        assert os.getsid(running.pid) == running.pid
        while running not in marked_processes("run-of-this-test"):
            assert is_alive(running)  # until the shell has taken its environment over
        assert marked_processes("run-of-this-tes") == []
    finally:
        assert stop_processes([running], patience_s=PATIENCE_S) == []
    assert not is_alive(running)
    assert log.read_text() in ("", "run-of-this-test\n")


def test_a_process_with_another_start_is_not_ours() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            ticks = start_ticks(process.pid)
            assert ticks is not None
            assert stop_processes([Running(process.pid, ticks + 1)], patience_s=0) == []
            assert process.poll() is None
        finally:
            process.kill()
    assert start_ticks(process.pid) is None


def test_what_has_ended_is_no_trouble() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert stop_processes([Running(process.pid, 1)], patience_s=0) == []


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    step = Process("tracer", None, ("there-is-no-such-program",), str(tmp_path / "log"))
    with pytest.raises(ProcessError, match=r"cannot start tracer.*l2tp-lab doctor"):
        start_process(step, run="run", netns=None)
