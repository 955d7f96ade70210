"""A LAC and an LNS as processes in two network namespaces, joined by a veth pair."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from l2tp.daemon.control import ControlClient, ControlError
from tests.kernel.pythons import PYTHON

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
READY_S = 600.0
"""Some peers send a HELLO every minute only, and give up after several."""
SECRETS = '[tunnels]\nlns = "between us"\nlac = "between us"\n[users]\nalice = "wonder land"\n'
CONFIG = {
    "lac": """\
[[tunnel]]
name = "lns"
local = "{lac}"
peer = "{lns}"
secret = "lns"
[[tunnel.call]]
user = "alice"
routes = ["203.0.113.0/24", "2001:db8:3::/64"]
addresses = ["2001:db8:a::1/64"]
""",
    "lns": """\
[listen]
address = "{lns}"
[ppp]
local_ipv4 = "10.64.0.1"
pool = "10.64.0.0/24"
[[user]]
name = "alice"
routes = ["2001:db8:a::/64"]
""",
}
ADDRESSES = {
    4: {"lac": "192.0.2.1", "lns": "192.0.2.2"},
    6: {"lac": "2001:db8:1::1", "lns": "2001:db8:1::2"},
}


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what only the kernel knows, and shows to whoever asks again."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {DEADLINE_S:g} s: {what}")
        time.sleep(0.02)


class Network:
    """The two namespaces, with addresses of both families; gone at the end."""

    def __init__(self, folder: Path, version: int = 4, changes: dict[str, str] | None = None):
        self.folder = folder
        self.addresses = ADDRESSES[version]
        self.changes = changes or {}
        self.names = {role: f"l2tp-test-{os.getpid()}-{role}" for role in CONFIG}
        self.python = PYTHON
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def _make(self) -> None:
        lac, lns = self.names.values()
        for name in (lac, lns):
            self.run("ip", "netns", "add", name)
            self.run("ip", "-n", name, "link", "set", "lo", "up")
        pair = ("type", "veth", "peer", "name", "up0", "netns", lns)
        self.run("ip", "-n", lac, "link", "add", "up0", *pair)
        for role, name in self.names.items():
            for prefix, version in (("24", 4), ("64", 6)):
                address = f"{ADDRESSES[version][role]}/{prefix}"
                self.run("ip", "-n", name, "address", "add", address, "dev", "up0", "nodad")
            self.run("ip", "-n", name, "link", "set", "up0", "up")
        for address in ("203.0.113.1/32", "2001:db8:3::1/128"):
            self.run("ip", "-n", lns, "address", "add", address, "dev", "lo")
        for role, text in CONFIG.items():
            folder = self.folder / role
            folder.mkdir()
            settings = self.changes.get(role, "")
            (folder / "config.toml").write_text(settings + text.format(**self.addresses))
            (folder / "secrets.toml").write_text(SECRETS)
            (folder / "secrets.toml").chmod(0o600)

    def edit(self, role: str, old: str, new: str) -> None:
        """Change a daemon's configuration; it takes note when it is started or reloaded."""
        path = self.folder / role / "config.toml"
        text = path.read_text()
        if old not in text:
            raise AssertionError(f"no {old!r} in {text}")
        path.write_text(text.replace(old, new))

    def start(self, *roles: str) -> None:
        for role in roles:
            argv = [self.python, "-m", "l2tp", role]
            with (self.folder / role / "output.log").open("ab") as output:
                self.daemons[role] = subprocess.Popen(
                    [
                        *("ip", "netns", "exec", self.names[role]),
                        *argv,
                        *("--config", str(self.folder / role / "config.toml")),
                    ],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )

    def pid(self, role: str) -> int:
        """Ask our own daemon which process it is; what was started may only stand for it."""
        with self.client(role) as client:
            return int(client.status()["pid"])

    def kill_daemon(self, role: str) -> None:
        """End our own daemon as `kill -9` does."""
        os.kill(self.pid(role), signal.SIGKILL)
        self.daemons[role].wait()

    def client(self, role: str) -> ControlClient:
        path = self.folder / role / "control.sock"
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return ControlClient(path, timeout_s=DEADLINE_S)
            except ControlError as error:
                if self.daemons[role].poll() is not None or time.monotonic() > deadline:
                    output = (self.folder / role / "output.log").read_text()
                    raise AssertionError(f"{error}\n{output}") from error
                time.sleep(0.02)

    def wait_ready(self, *roles: str, count: int = 1) -> None:
        """Wait until so many sessions of each daemon are ready for traffic.

        Raises AssertionError with the end of the daemon's log when nothing makes them so.
        """
        deadline = time.monotonic() + READY_S
        for role in roles:
            with self.client(role) as events, self.client(role) as client:
                events.events()
                while len(ready_sessions(client.status())) < count:
                    self._wait_for(events, "SessionReady", role, deadline)

    def _wait_for(self, events: ControlClient, name: str, role: str, deadline: float) -> None:
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            is_there, _, _ = select.select([events], [], [], left_s)
            records = events.receive() if is_there else None
            if records is None:
                log = (self.folder / role / "log.jsonl").read_text().splitlines()
                raise AssertionError("\n".join((f"no {name} of {role}; its log ends:", *log[-20:])))
            if name in [record["event"] for record in records]:
                return

    def left(self, role: str) -> dict[str, list[str]]:
        """What the kernel has of L2TP and PPP in a daemon's namespace."""
        name = self.names[role]
        return {
            "tunnels": words(self.run("ip", "netns", "exec", name, "ip", "l2tp", "show", "tunnel")),
            "sessions": [
                line
                for line in words(
                    self.run("ip", "netns", "exec", name, "ip", "l2tp", "show", "session")
                )
                # Linux 6.1 lists a management socket as session 0.
                if line.startswith("Session ") and not line.startswith("Session 0 ")
            ],
            "interfaces": words(self.run("ip", "-n", name, "link", "show", "type", "ppp")),
            "sockets": words(self.run("ip", "netns", "exec", name, "ss", "-Hanu")),
        }

    def run(self, *argv: str) -> str:
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def ping(self, role: str, address: str, *options: str) -> None:
        words = ("ping", "-c2", "-W5", *options, address)
        self.run("ip", "netns", "exec", self.names[role], *words)

    def log(self, role: str) -> list[dict[str, Any]]:
        """Every record that a daemon wrote so far; one that is being written comes next time."""
        text = (self.folder / role / "log.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for daemon in self.daemons.values():
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait()
        for name in self.names.values():
            with suppress(subprocess.CalledProcessError):
                # Those that outlive their daemon as well: xl2tpd's pppds do.
                if pids := self.run("ip", "netns", "pids", name).split():
                    self.run("kill", "-KILL", *pids)
            with suppress(subprocess.CalledProcessError):
                self.run("ip", "netns", "delete", name)


def ready_sessions(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        session
        for tunnel in status["tunnels"]
        for session in tunnel["sessions"]
        if session["ppp"] and session["ppp"]["ready"]
    ]


def words(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


NOTHING: dict[str, list[str]] = {"tunnels": [], "sessions": [], "interfaces": [], "sockets": []}
