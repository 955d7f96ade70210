"""What a daemon has in the kernel, written down, so that its successor clears what a kill left.

A journal in the state folder names every tunnel from before it is made until it is gone; an orderly
end removes the journal. pppds carry the state folder's path in their environment. A lock on the
folder tells whether the daemon lives: nothing of a living one is ever touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from l2tp.kernel.leftovers import KernelTunnel, remove_tunnels
from l2tp.protocol.errors import L2tpError
from l2tp.protocol.parameters import Address

MARK: Final = "L2TP_STATE_FOLDER"
"""The environment variable by which a daemon's children are known."""

_JOURNAL: Final = "kernel.jsonl"
_LOCK: Final = "daemon.lock"
_PROC: Final = Path("/proc")
_GONE_S: Final = 10.0


class AlreadyRunning(L2tpError):
    """Another daemon runs with this state folder."""


class Remains:
    """The journal of one daemon, whose folder is locked as long as this lives."""

    def __init__(self, folder: Path) -> None:
        """Lock the folder; raises AlreadyRunning."""
        self._folder = folder
        self._lock = _lock(folder / _LOCK)
        self._path = folder / _JOURNAL
        self._journal = -1
        self.cleared_tunnels: list[KernelTunnel] = []
        self.cleared_pids: list[int] = []

    def clear(self) -> None:
        """Remove what a predecessor left: its children first, then its tunnels.

        `cleared_tunnels` and `cleared_pids` tell what that was. Begins the journal anew. Without a
        journal the predecessor ended in order.
        """
        if self._path.exists():
            found = list(_marked(self._folder))
            self.cleared_pids = [pid for pid in found if _kill(pid, self._folder)]
            self.cleared_tunnels = remove_tunnels(_read(self._path))
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._journal = os.open(self._path, flags, 0o600)

    def add(self, tunnel: KernelTunnel) -> None:
        """Note a tunnel that is about to be made."""
        local, peer = tunnel.local, tunnel.peer
        self._write({"add": [tunnel.local_tunnel_id, tunnel.peer_tunnel_id, *local, *peer]})

    def remove(self, local_tunnel_id: int) -> None:
        """Note a tunnel that is gone."""
        self._write({"remove": local_tunnel_id})

    def close(self) -> None:
        """End in order: nothing is left in the kernel, and the folder is free."""
        if self._journal >= 0:
            os.close(self._journal)
            self._path.unlink(missing_ok=True)
            self._journal = -1
        os.close(self._lock)

    def _write(self, record: dict[str, object]) -> None:
        if self._journal >= 0:
            # A full disk costs the note, which only a kill would need, and not the tunnel. The
            # line begins anew, for the one before may be cut off.
            with contextlib.suppress(OSError):
                os.write(self._journal, b"\n" + json.dumps(record).encode() + b"\n")


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(fd, 20).decode(errors="replace").strip()
        os.close(fd)
        raise AlreadyRunning(
            f"a daemon runs with the state folder {path.parent} already (pid {pid or 'unknown'}). "
            f"Stop it: kill {pid or 'PID'}; or give this one a state_folder of its own"
        ) from error
    os.ftruncate(fd, 0)
    os.write(fd, str(os.getpid()).encode())
    return fd


def _read(path: Path) -> list[KernelTunnel]:
    tunnels: dict[int, KernelTunnel] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # the kill came in the middle of it
        if "add" in record:
            local_id, peer_id, host, port, peer_host, peer_port = record["add"]
            local, peer = Address(host, port), Address(peer_host, peer_port)
            tunnels[local_id] = KernelTunnel(local_id, peer_id, local, peer)
        else:
            tunnels.pop(record.get("remove"), None)
    return list(tunnels.values())


def _marked(folder: Path) -> Iterator[int]:
    """Find the processes that carry the folder's mark, but for ourselves and our ancestors."""
    own = _ancestors()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) not in own:
            pid = int(entry.name)
            if _is_marked(pid, folder):
                yield pid


def _is_marked(pid: int, folder: Path) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARK}={folder}".encode() in environment.split(b"\0")


def _ancestors() -> set[int]:
    pids: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in pids:
        pids.add(pid)
        try:
            pid = int((_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()[1])
        except (OSError, ValueError):
            break
    return pids


def _kill(pid: int, folder: Path) -> bool:
    """Kill a process and wait until it is gone."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _is_marked(pid, folder):
            return False  # the number is another's by now
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], _GONE_S)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True
