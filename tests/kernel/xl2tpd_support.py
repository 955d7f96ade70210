"""xl2tpd in the place of our LAC or our LNS, in the namespaces of daemon_support."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from lab.network.plan import Folder
from lab.peers.xl2tpd import Call, Service, Xl2tpd, peer_argv, peer_files
from tests.kernel.daemon_support import ADDRESSES, ROOT, Network, until

SECRET = "between us"
USERS = {"alice": "wonder land"}


def xl2tpd_lns(**changes: object) -> Xl2tpd:
    """An LNS that knows our LAC and its user."""
    values = {
        "host_name": "lns",
        "address": ADDRESSES[4]["lns"],
        "service": Service("10.64.0.1", "10.64.0.2", "10.64.0.9"),
        "secrets": {"lac": SECRET},
        "users": USERS,
        **changes,
    }
    return Xl2tpd(**values)  # type: ignore[arg-type]


def xl2tpd_lac(*names: str, autodial: bool = True, **changes: object) -> Xl2tpd:
    """A LAC with one tunnel and one call for each name, all to our LNS."""
    calls = tuple(
        Call(name, ADDRESSES[4]["lns"], "alice", autodial=autodial) for name in names or ("only",)
    )
    values = {
        "host_name": "lac",
        "address": ADDRESSES[4]["lac"],
        "calls": calls,
        "secrets": {"lns": SECRET},
        "users": USERS,
        **changes,
    }
    return Xl2tpd(**values)  # type: ignore[arg-type]


class MixedNetwork(Network):
    """A network whose ``lns`` or ``lac`` is an xl2tpd, the other one ours."""

    def __init__(self, folder: Path, peer: Xl2tpd, changes: dict[str, str] | None = None):
        super().__init__(folder, 4, changes)
        self.peer = peer
        self.role = "lns" if peer.service else "lac"
        self.ours = "lac" if peer.service else "lns"
        self.home = folder / self.role / "xl2tpd"

    def start_peer(self) -> None:
        """Start xl2tpd; it answers once its log says that it listens."""
        if not self.home.exists():
            for step in peer_files(self.peer, self.home):
                if isinstance(step, Folder):
                    Path(step.path).mkdir(step.mode)
                else:
                    path = Path(step.path)
                    path.touch(step.mode)
                    path.write_text(step.content)
        said = self.peer_log().count("Listening on")
        with (self.home / "log").open("ab") as output:
            self.daemons[self.role] = subprocess.Popen(
                ["ip", "netns", "exec", self.names[self.role], *peer_argv(self.home)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until(lambda: self.peer_log().count("Listening on") > said, "xl2tpd listens")

    def peer_log(self) -> str:
        """What xl2tpd has said so far."""
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def command_peer(self, command: str) -> None:
        """Write to xl2tpd's control pipe (xl2tpd(8))."""
        (self.home / "control").write_text(command)

    def kill(self, role: str) -> None:
        """End a daemon of either kind and its children as `kill -9` does.

        The children too, because xl2tpd's pppds outlive it, and its sessions in the driver them.
        """
        inside = ("ip", "netns", "pids", self.names[role])
        with suppress(subprocess.CalledProcessError):  # one of them may have gone with another
            self.run("kill", "-KILL", *self.run(*inside).split())
        self.daemons[role].wait()
        # What we started may only stand for the daemon.
        until(lambda: not self.run(*inside).split(), "all of it has ended")

    def lose(self, everything: bool) -> None:
        """Let the link between the two lose every packet, or none, both ways."""
        for name in self.names.values():
            verb = ("add", "dev", "up0", "root", "netem", "loss", "100%")
            plain = ("del", "dev", "up0", "root")
            self.run("tc", "-n", name, "qdisc", *(verb if everything else plain))

    def events(self) -> str:
        """Our daemon's whole log."""
        path = self.folder / self.ours / "log.jsonl"
        return path.read_text() if path.exists() else ""
