"""A QEMU is started, waited for, and its failures are told in its own words."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import CannotRun
from lab.places.appliance import acceleration, machine
from lab.places.appliance.acceleration import decide
from lab.places.appliance.architecture import ARCHITECTURES
from lab.places.appliance.machine import Home, Record, launch, read_record
from lab.places.appliance.paths import Cache
from lab.places.appliance.qemu import Machine, port_of
from lab.places.appliance.serial import KERNEL_UP, USERLAND_UP

#: Stands in for QEMU: serves its monitor, prints on its console, and lives until it is ended.
FAKE = """#!{python}
import os, re, signal, sys
line = " ".join(sys.argv)
console, greeting = (int(re.search(f"id={{name}},fd=([0-9]+)", line)[1]) for name in
                     ("console", "greeting"))
kind = re.search("-accel ([a-z]+)", line)[1]
{body}
"""

SERVE = 'os.write(greeting, b"{\\"QMP\\": {}}\\r\\n")\n'
UP = f"os.write(console, {KERNEL_UP!r} + b'\\r\\n' + {USERLAND_UP!r})\n"
WAIT = "signal.pause()\n"

Install = Callable[[str], Machine]


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    spec = Machine(
        name="l2tp-lab-test",
        architecture=replace(ARCHITECTURES["x86_64"], qemu=str(program)),
        acceleration="tcg",
        kernel=tmp_path / "vmlinuz",
        initramfs=tmp_path / "initramfs",
        disk=tmp_path / "disk",
        modules=tmp_path / "modules",
        pid_file=tmp_path / "pid",
        monitor=tmp_path / "qmp",
        log=tmp_path / "console.log",
        port=0,
    )
    spec.kernel.touch()

    def write(body: str) -> Machine:
        program.write_text(FAKE.format(python=sys.executable, body=body))
        program.chmod(0o755)
        return spec

    yield write


def test_it_runs_once_it_serves_and_prints(install: Install) -> None:
    launched = launch(install(SERVE + UP + WAIT), 30)
    try:
        launched.console.wait_for(USERLAND_UP, 30)
        assert launched.machine.port > 0
        command = Path(f"/proc/{launched.process.pid}/cmdline").read_bytes().decode().split("\0")
        assert port_of(command) == launched.machine.port
    finally:
        launched.process.kill()
        launched.process.wait()
        launched.console.close()


def test_a_qemu_that_does_not_start_is_quoted(install: Install) -> None:
    body = "sys.exit('qemu-system-x86_64: -device nonsense: no such device')"
    with pytest.raises(CannotRun, match="no such device"):
        launch(install(body), 30)


def test_a_taken_port_is_tried_again(install: Install, tmp_path: Path) -> None:
    taken = f"""
marker = {str(tmp_path / "tried")!r}
if not os.path.exists(marker):
    open(marker, "w").close()
    sys.exit("qemu-system-x86_64: Could not set up host forwarding rule 'tcp:127.0.0.1:1'")
"""
    launched = launch(install(taken + SERVE + WAIT), 30)
    launched.process.kill()
    launched.process.wait()
    launched.console.close()


def test_ports_that_are_always_taken_end_the_tries(install: Install) -> None:
    with pytest.raises(CannotRun, match="no free port"):
        launch(install("sys.exit('Could not set up host forwarding rule')"), 30)


RACES = [
    ("if kind == 'kvm':\n    os.write(console, KERNEL_UP)\n", "kvm"),
    ("if kind == 'tcg':\n    os.write(console, KERNEL_UP)\n", "tcg"),
    ("if kind == 'kvm':\n    sys.exit('abort')\nos.write(console, KERNEL_UP)\n", "tcg"),
]


@pytest.mark.parametrize(("body", "winner"), RACES)
def test_whoever_boots_first_wins(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, winner: str
) -> None:
    monkeypatch.setattr(acceleration, "_may_open_kvm", lambda: True)
    probe = install(SERVE + f"KERNEL_UP = {KERNEL_UP!r}\n" + body + WAIT)
    verdict = decide(Cache(tmp_path), probe, "QEMU 1", Quiet())
    assert verdict.acceleration == winner


def test_a_box_where_nothing_boots_is_told(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceleration, "_may_open_kvm", lambda: True)
    with pytest.raises(CannotRun, match="no guest boots"):
        decide(Cache(tmp_path), install("sys.exit('no')"), "QEMU 1", Quiet())


def test_the_verdict_is_asked_for_once(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Machine] = []

    def judge(probe: Machine, _: object) -> acceleration.Verdict:
        judged.append(probe)
        return acceleration.Verdict("tcg", "a test", 1.0)

    monkeypatch.setattr(acceleration, "_judge", judge)
    probe = install("")
    for version in ("QEMU 1", "QEMU 1", "QEMU 2", "QEMU 1"):
        decide(Cache(tmp_path), probe, version, Quiet())
    assert len(judged) == 2
    probe.kernel.write_text("another kernel")
    decide(Cache(tmp_path), probe, "QEMU 1", Quiet())
    assert len(judged) == 3


def test_without_kvm_nothing_is_tried(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceleration, "_may_open_kvm", lambda: False)
    verdict = decide(Cache(tmp_path), install("sys.exit('started')"), "QEMU 1", Quiet())
    assert verdict.acceleration == "tcg"
    assert verdict.slowness >= 1


class Quiet:
    def say(self, text: str) -> None:
        pass

    def step(self, name: str):  # type: ignore[no-untyped-def]
        from contextlib import nullcontext

        return nullcontext()


def test_a_record_is_read_back_and_a_broken_one_is_none(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    assert read_record(home) is None
    record = Record("made", "6.12", "6.12.1", "tcg", 1.5, True, 0.9, 1e9, {"lab/cli.py": "abc"})
    record.write(home)
    assert read_record(home) == record
    home.record.write_text('{"made_from": 1}')
    assert read_record(home) is None


def test_ending_removes_what_the_machine_left(tmp_path: Path) -> None:
    home = Home(tmp_path / "folder", tmp_path / "run")
    for folder in (home.folder, home.runtime):
        folder.mkdir()
    for path in (home.disk, home.record, home.pid_file, home.monitor, home.control, home.log):
        path.touch()
    assert machine.end(home, 1) is False
    left = [path for folder in (home.folder, home.runtime) for path in folder.iterdir()]
    assert left == [home.log]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("No space left on device", "a machine's disk needs"), ("odd", "could not make .*: odd")],
)
def test_a_disk_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, expected: str
) -> None:
    def fail(argv: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, argv, stderr=words)

    monkeypatch.setattr(machine.subprocess, "run", fail)
    with pytest.raises(CannotRun, match=expected):
        machine.make_overlay(tmp_path / "disk", tmp_path / "below", "raw")


def test_a_machine_is_found_by_a_shell_with_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    for name in ("login", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "login"))
    home = Home.of(cache, "lab")
    home.make()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "other"))
    assert Home.of(cache, "lab") == home
    # What was there is over, and so is where it was.
    machine.end(home, 1)
    assert Home.of(cache, "lab").runtime.is_relative_to(tmp_path / "other")


def test_a_machine_whose_login_ended_can_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    for name in ("login", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "login"))
    home = Home.of(cache, "lab")
    home.make()
    program = tmp_path / "qemu-system-x86_64"
    program.symlink_to(sys.executable)
    argv = [str(program), "-c", "import time; time.sleep(600)", "-pidfile", str(home.pid_file)]
    with subprocess.Popen(argv) as process:
        home.runtime.rmdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "other"))
        assert machine.end(Home.of(cache, "lab"), 30) is True
        process.wait(30)
    assert Home.of(cache, "lab").runtime.is_relative_to(tmp_path / "other")
