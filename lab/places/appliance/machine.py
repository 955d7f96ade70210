"""One machine: its files, its start, its end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lab.errors import CannotRun
from lab.places.appliance import monitor, qemu
from lab.places.appliance.folders import no_space
from lab.places.appliance.paths import Cache
from lab.places.appliance.process import Process, end_process, find_process
from lab.places.appliance.qemu import Machine
from lab.places.appliance.serial import Console

#: Seconds that QEMU may take to serve its monitor, and a whole boot, on the reference box.
SERVING_S = 20.0
BOOT_S = 60.0

_PORT_TRIES = 5

#: In a machine's folder: where its sockets lie; and there, QEMU's pid file.
_RUNTIME, _PID = "runtime", "pid"

#: Room for what a running lab writes to its disk.
_NEEDED_MIB = 200


@dataclass(frozen=True, slots=True)
class Home:
    """Where one lab's machine keeps its files."""

    folder: Path
    runtime: Path

    @classmethod
    def of(cls, cache: Cache, lab: str) -> Home:
        """Return the home of a lab's machine below a cache.

        Where its sockets lie depends on who logged in how (XDG_RUNTIME_DIR, TMPDIR); a machine that
        is there keeps its place, so that a shell with another one finds it.
        """
        folder = cache.machine(lab)
        return cls(folder, _kept_runtime(folder) or cache.runtime(lab))

    @classmethod
    def kept(cls, cache: Cache, lab: str) -> Home | None:
        """Return the home that a lab's machine has already; None where it never had one."""
        folder = cache.machine(lab)
        runtime = _kept_runtime(folder)
        return cls(folder, runtime) if runtime else None

    def make(self) -> None:
        """Make the folder of a machine that is about to start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _RUNTIME).write_text(str(self.runtime))

    @property
    def disk(self) -> Path:
        """What this machine wrote, on top of a disk that is only read."""
        return self.folder / "disk.qcow2"

    @property
    def log(self) -> Path:
        """The serial console's output."""
        return self.folder / "console.log"

    @property
    def boot_log(self) -> Path:
        """The console's output of the boot that a restored machine goes on from."""
        return self.folder / "boot.log"

    @property
    def record(self) -> Path:
        """What is known about the running machine."""
        return self.folder / "machine.json"

    @property
    def pid_file(self) -> Path:
        """QEMU's pid file; its path is also how the process is recognised."""
        return self.runtime / _PID

    @property
    def monitor(self) -> Path:
        """QEMU's monitor."""
        return self.runtime / "qmp"

    @property
    def control(self) -> Path:
        """The socket of the SSH master connection."""
        return self.runtime / "ssh"

    def find(self) -> Process | None:
        """Return this home's machine when it runs."""
        return find_process(self.pid_file)


def _kept_runtime(folder: Path) -> Path | None:
    try:
        runtime = Path((folder / _RUNTIME).read_text())
        if runtime.is_dir() and runtime.stat().st_uid == os.getuid():
            return runtime
    except OSError:
        return None
    # The folder went with its login; the machine may have stayed, and can be ended.
    return runtime if find_process(runtime / _PID) else None


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about a running machine beyond its process."""

    #: The machine was started from exactly this: a machine for something else is replaced.
    made_from: str
    kernel: str
    release: str
    acceleration: str
    slowness: float
    restored: bool
    start_s: float
    started_at: float
    #: The code in the machine, as ``code.read_tree`` says it.
    code: Mapping[str, str] = field(default_factory=dict)
    #: QEMU's version line.
    qemu: str = ""

    def write(self, home: Home) -> None:
        """Keep it in the machine's home."""
        temporary = home.record.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(home.record)


def read_record(home: Home) -> Record | None:
    """Return the record, or None when there is none that can be used."""
    try:
        return Record(**json.loads(home.record.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def make_disk(home: Home, below: Path, kind: str) -> None:
    """Make the machine's empty disk on top of ``below``. Raises CannotRun."""
    home.make()
    home.disk.unlink(missing_ok=True)
    make_overlay(home.disk, below, kind)


def make_overlay(disk: Path, below: Path, kind: str) -> None:
    """Make an empty qcow2 file on top of a disk that is only read. Raises CannotRun."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(below), str(disk)]
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CannotRun("qemu-img is missing. Run: apt-get install qemu-utils") from None
    except subprocess.CalledProcessError as error:
        if "No space left" in error.stderr:
            raise no_space(disk.parent, _NEEDED_MIB, "a machine's disk") from error
        raise CannotRun(f"qemu-img could not make {disk}: {error.stderr.strip()}") from error


@dataclass(slots=True)
class Launched:
    """A QEMU that serves its monitor; its guest boots or goes on."""

    process: subprocess.Popen[bytes]
    machine: Machine
    console: Console


def launch(machine: Machine, deadline_s: float) -> Launched:
    """Start QEMU on a free port of the loopback, and return when it serves.

    Raises CannotRun with QEMU's own words when it does not start.
    """
    for _ in range(_PORT_TRIES):
        candidate = replace(machine, port=_free_port())
        try:
            return _launch(candidate, deadline_s)
        except _PortTaken:
            continue
    raise CannotRun("no free port on the loopback for the appliance's SSH: all tries were taken")


class _PortTaken(Exception):
    """Somebody else took the port between its choice and QEMU's use of it."""


def _launch(machine: Machine, deadline_s: float) -> Launched:
    console, console_there = socket.socketpair()
    greeting, greeting_there = socket.socketpair()
    with console_there, greeting_there, greeting:
        argv = qemu.arguments(machine, console_there.fileno(), greeting_there.fileno())
        errors = machine.log.with_suffix(".qemu.log")
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=(console_there.fileno(), greeting_there.fileno()),
                start_new_session=True,
            )
        console_there.close()
        greeting_there.close()
        greeting.settimeout(deadline_s)
        try:
            serves = bool(greeting.recv(1, socket.MSG_PEEK))
            if serves and machine.incoming is not None:
                monitor.go_on(greeting, machine.incoming, deadline_s)
        except TimeoutError:
            serves = False
    if serves:
        return Launched(process, machine, Console(console))
    console.close()
    process.kill()
    process.wait()
    text = errors.read_text(errors="replace").strip()
    if "host forwarding rule" in text:
        raise _PortTaken(text)
    raise CannotRun(f"QEMU did not start: {text or 'no word from it in time'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end(home: Home, deadline_s: float) -> bool:
    """End the home's machine and remove what it left; return whether one ran."""
    process = home.find()
    if process is not None:
        end_process(process, home.pid_file, deadline_s)
    left = (home.pid_file, home.monitor, home.control, home.record, home.disk)
    for path in (*left, home.folder / _RUNTIME):
        path.unlink(missing_ok=True)
    return process is not None


def forget(home: Home) -> None:
    """Remove a machine's folders altogether."""
    shutil.rmtree(home.folder, ignore_errors=True)
    shutil.rmtree(home.runtime, ignore_errors=True)
