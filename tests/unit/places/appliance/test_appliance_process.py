"""A machine is recognised by the process table, and nothing else is ever hit."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.places.appliance.process import Process, end_process, find_process

PID_FILE = Path("/run/user/1000/l2tp-lab/abc/pid")


def put(proc: Path, pid: int, *argv: str) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in argv))


def test_it_is_found_by_its_pid_files_path(tmp_path: Path) -> None:
    put(tmp_path, 7, "qemu-system-x86_64", "-name", "other", "-pidfile", "/run/other/pid")
    put(tmp_path, 8, "/usr/bin/qemu-system-x86_64", "-name", "lab", "-pidfile", str(PID_FILE))
    found = find_process(PID_FILE, tmp_path)
    assert found is not None
    assert (found.pid, found.option("-name")) == (8, "lab")


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("vim", str(PID_FILE)),
        ("vim", "-pidfile", str(PID_FILE)),
        ("qemu-system-x86_64", "-pidfile"),
        ("qemu-system-x86_64", "-pidfile", f"{PID_FILE}2"),
    ],
)
def test_a_foreign_process_is_not_ours(tmp_path: Path, argv: tuple[str, ...]) -> None:
    put(tmp_path, 7, *argv)
    (tmp_path / "self").mkdir()
    (tmp_path / "9").mkdir()  # one that ended in between: no cmdline any more
    assert find_process(PID_FILE, tmp_path) is None


def test_a_process_that_took_the_number_over_is_left_alone() -> None:
    foreign = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        stale = Process(foreign.pid, ("qemu-system-x86_64", "-pidfile", str(PID_FILE)))
        end_process(stale, PID_FILE, 5)
        assert foreign.poll() is None
    finally:
        foreign.communicate(b"\n")


def test_ending_one_that_is_gone_is_no_error() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    end_process(Process(gone.pid, ()), PID_FILE, 5)


@pytest.mark.parametrize("stubborn", [False, True])
def test_it_is_asked_first_and_killed_when_it_does_not_listen(
    tmp_path: Path, stubborn: bool
) -> None:
    fake = tmp_path / "qemu-system-x86_64"
    fake.symlink_to(sys.executable)
    pid_file = tmp_path / "pid"
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN);" if stubborn else ""
    script = f"import signal;{ignore}print(flush=True);signal.pause()"
    argv = [str(fake), "-c", script, "-pidfile", str(pid_file)]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.readline()
    found = find_process(pid_file)
    assert found is not None
    assert found.pid == running.pid
    end_process(found, pid_file, 0.05 if stubborn else 10)
    assert running.wait() == (-9 if stubborn else -15)
    running.stdout.close()
