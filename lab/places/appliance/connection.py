"""Commands in a machine, over SSH on this box's loopback.

One master connection is opened per machine; each command is a channel of it, without a new
handshake. The keys are the image's own, and the user's SSH configuration is not read.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lab.errors import LabError, MachineLost
from lab.places.appliance.keys import HOST_ALIAS, KEY, KNOWN_HOSTS
from lab.places.appliance.untar import unpack

#: What ssh itself says when the connection failed; a command may end so, too.
_SSH_FAILED = 255

_RUN = "/usr/lib/l2tp-lab/run"
_COMMANDS = PurePosixPath("/run/l2tp-lab-appliance/commands")


@dataclass(frozen=True, slots=True)
class Connection:
    """How one machine is reached: its port, its keys' folder and the master's socket."""

    port: int
    keys: Path
    control: Path
    #: Everything that waits for the machine is given this many times its normal time.
    slowness: float = 1.0

    def options(self) -> list[str]:
        """Return ssh's options; Ansible takes the same ones."""
        settings = {
            "BatchMode": "yes",
            "ControlPath": str(self.control),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": HOST_ALIAS,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "KexAlgorithms": "curve25519-sha256",
            "LogLevel": "ERROR",
            "ServerAliveCountMax": "3",
            "ServerAliveInterval": str(round(10 * self.slowness)),
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": f'"{self.keys / KNOWN_HOSTS}"',
        }
        pairs = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        return ["-F", "none", "-i", str(self.keys / KEY), "-p", str(self.port), *pairs]

    def open(self) -> None:
        """Open the master connection; returns when the guest let us in. Raises MachineLost."""
        import tempfile  # late: done once a machine

        # ssh takes the socket of a master that is gone for a living one's.
        self.control.unlink(missing_ok=True)
        timeout = ["-o", f"ConnectTimeout={round(30 * self.slowness)}"]
        argv = self._ssh(*timeout, "-o", "ControlMaster=yes", "-N", "-f")
        # The master keeps these descriptors for as long as it lives, so they are no pipes.
        with tempfile.TemporaryFile() as errors:
            done = subprocess.run(
                argv,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
            errors.seek(0)
            said = "; ".join(errors.read().decode(errors="replace").split("\r\n")).strip("; \n")
        if done.returncode != 0:
            told = f": {said}" if said else ""
            raise MachineLost(f"the machine does not answer over SSH on port {self.port}{told}")

    def forward(self, local_port: int, guest_port: int) -> None:
        """Let a port of this box's loopback lead to one of the guest's loopback.

        Lasts as long as the machine, or until ``end_forward``. Raises LabError when the local port
        is taken.
        """
        rule = _rule(local_port, guest_port)
        argv = self._ssh("-O", "forward", "-o", "ExitOnForwardFailure=yes", "-L", rule)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(
                f"port {local_port} of this box cannot be forwarded: {done.stderr.strip()}"
            )

    def end_forward(self, local_port: int, guest_port: int) -> None:
        """Let the port lead there no longer."""
        argv = self._ssh("-O", "cancel", "-L", _rule(local_port, guest_port))
        subprocess.run(argv, capture_output=True, check=False)

    def is_open(self) -> bool:
        """Tell whether the master connection lives: something listens at its socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.control)) == 0

    def close(self) -> None:
        """Close the master connection, if there is one."""
        subprocess.run(self._ssh("-O", "exit"), capture_output=True, check=False)

    def run(self, argv: Sequence[str], *, tty: bool = False, stdin: int | None = None) -> int:
        """Run a command in the project's folder and return its exit code, whatever it is.

        Output streams to this process's own. Raises MachineLost when the connection broke.
        """
        token = os.urandom(8).hex()
        # A terminal makes the command the leader of its own session; without one setsid does. The
        # login shell must not stay between: Ctrl-C on the terminal would end it, and the
        # command's exit code with it.
        leader = ["exec"] if tty else ["busybox", "setsid"]
        remote = shlex.join([*leader, _RUN, token, *argv])
        given = stdin if stdin is not None or tty else subprocess.DEVNULL
        argv = self._ssh("-tt" if tty else "-T", remote=remote)
        # Without a terminal an interrupt is passed on below, so ssh itself must not hear it.
        with _Interrupts() if not tty else nullcontext() as interrupts:
            ssh = subprocess.Popen(argv, stdin=given, process_group=None if tty else 0)
            code = self._wait(ssh, token, interrupts)
        if code == _SSH_FAILED and not self._ended_so(token):
            raise MachineLost("the appliance was lost while the command ran")
        return code

    def call(self, argv: Sequence[str], *, data: bytes = b"") -> bytes:
        """Run a command of the appliance's own and return what it wrote.

        Raises MachineLost when the connection broke, and LabError when the command failed.
        """
        done = subprocess.run(
            self._ssh("-T", remote=shlex.join(argv)), input=data, capture_output=True, check=False
        )
        self._judge(argv, done.returncode, done.stderr)
        return done.stdout

    def fetch(self, source: PurePosixPath, target: Path) -> None:
        """Copy a file to ``target``, or a folder's contents into it.

        Raises LabError when the guest has no such file, MachineLost when the connection broke.
        """
        argv = ["/usr/lib/l2tp-lab/send", str(source)]
        ssh = subprocess.Popen(
            self._ssh("-T", remote=shlex.join(argv)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if ssh.stdout is None or ssh.stderr is None:
            raise LabError("ssh gave no pipe to read from")
        with ssh.stdout, ssh.stderr:
            unpack(ssh.stdout, target)
            errors = ssh.stderr.read()
        self._judge(argv, ssh.wait(), errors)

    def _wait(
        self, ssh: subprocess.Popen[bytes], token: str, interrupts: _Interrupts | None
    ) -> int:
        """Wait for a command; pass interrupts on, each time with a stronger signal."""
        signals = iter((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        while True:
            try:
                with interrupts.let_in() if interrupts else nullcontext():
                    return ssh.wait()
            except KeyboardInterrupt:
                if interrupts is None:
                    continue
                number = next(signals, None)
                if number is None:
                    ssh.kill()
                    raise
                self._signal(token, number)

    def _ended_so(self, token: str) -> bool:
        """Ask the guest whether the command itself ended with ssh's failure code."""
        argv = self._ssh("-T", remote=shlex.join(["cat", str(_COMMANDS / token)]))
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        return done.stdout.startswith(b"ended ")

    def _signal(self, token: str, number: signal.Signals) -> None:
        """Pass a signal on to a command that has no terminal; its process group is its own."""
        script = f'read -r pid <{_COMMANDS / token} && kill -s {number.name[3:]} -- "-$pid"'
        argv = self._ssh("-T", remote=shlex.join(["sh", "-c", script]))
        subprocess.run(
            argv,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            process_group=0,
        )

    def _ssh(self, *options: str, remote: str | None = None) -> list[str]:
        command = [] if remote is None else [remote]
        return ["ssh", *self.options(), *options, "root@127.0.0.1", *command]

    @staticmethod
    def _judge(argv: Sequence[str], code: int, errors: bytes) -> None:
        if code == _SSH_FAILED:
            raise MachineLost("the appliance was lost")
        if code != 0:
            text = errors.decode(errors="replace").strip()
            raise LabError(f"{argv[0]} failed in the appliance with code {code}: {text}")


class _Interrupts:
    """Ends from outside: Ctrl-C, and for the same kill, timeout and a closed terminal.

    They are to be passed on; else ssh, and the command in the guest, would go on without us. So
    they are heard where that can be done, and wait meanwhile.
    """

    def __init__(self) -> None:
        self._heard = False
        self._may_come_in = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has it ignored, and it is to stay so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def let_in(self) -> Iterator[None]:
        """Raise KeyboardInterrupt within for one that comes, or has come before."""
        self._may_come_in = True
        try:
            if self._heard:
                raise KeyboardInterrupt
            yield
        finally:
            self._may_come_in = self._heard = False

    def _hear(self, *_: object) -> None:
        self._heard = True
        if self._may_come_in:
            raise KeyboardInterrupt


def _rule(local_port: int, guest_port: int) -> str:
    return f"127.0.0.1:{local_port}:127.0.0.1:{guest_port}"
