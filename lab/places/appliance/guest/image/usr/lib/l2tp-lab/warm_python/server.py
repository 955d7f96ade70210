"""The server: listens, forks, passes signals and ends on."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from pathlib import Path

from warm_python.client import Client, Declined, Request, close, read_request
from warm_python.imported import PACKAGES, PROJECT, Facts, is_stale, renew
from warm_python.process import live

FOLDER = Path(os.environ.pop("L2TP_LAB_WARM_FOLDER", "/run/l2tp-lab-appliance/python"))

#: Namespaces that the client must share with us; it is followed into its net and mnt.
SHARED = ("cgroup", "ipc", "pid", "user", "uts")

_HARMLESS = (
    (b"PYTHONPATH", os.fsencode(PROJECT)),
    (b"PYTHONUNBUFFERED", b"1"),
    (b"PYTHONUTF8", b"1"),
)


class Server:
    """Listens, forks, passes signals and ends on; no process outlives its client or the server."""

    def __init__(self, requests: int, known: dict[str, Facts | None]) -> None:
        self._requests = requests
        self._unread = b""
        self._known = known
        #: By the client's pid. Only clients with a process are here.
        self._clients: dict[int, Client] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ, self._hear)
        self._folder = _identity(os.stat(PROJECT))  # noqa: PTH116
        wakeup, writer = socket.socketpair()
        self._wakeup = wakeup
        wakeup.setblocking(False)
        writer.setblocking(False)
        self._selector.register(wakeup, selectors.EVENT_READ, self._reap)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Serve until killed."""
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.data, Client):
                    # A FIFO that we write to says something only when its reader is gone.
                    self._lose(key.data)
                else:
                    key.data()

    def _hear(self) -> None:
        *lines, self._unread = (self._unread + os.read(self._requests, 1 << 16)).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                pid, wish = line.split()
                if wish == b"ask":
                    self._ask(int(pid))
                elif client := self._clients.get(int(pid)):
                    client.signal(int(wish))

    def _ask(self, pid: int) -> None:
        path = FOLDER / str(pid)
        try:
            reply = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # it is gone
        handles: list[int] = []
        client = None
        try:
            request = read_request(pid)
            handles = request.handles
            self._examine(pid, request)
            if is_stale(self._known):
                self._known = renew()
            client = Client(pid, reply, request)
            client.process = self._fork(client)
        except (Declined, KeyError, OSError, ValueError):
            client = None
        close(handles)
        if client is None:
            with contextlib.suppress(OSError):
                os.write(reply, b"declined\n")
            os.close(reply)
            return
        self._clients[pid] = client
        self._selector.register(reply, selectors.EVENT_READ, client)

    def _fork(self, client: Client) -> int:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            live(client, client.request, server)
        return pid

    def _examine(self, pid: int, request: Request) -> None:
        """Decline what would not find here what the ordinary interpreter finds."""
        if request.arguments[0].partition(".")[0] not in PACKAGES:
            raise Declined
        if _identity(os.fstat(request.handles[5])) != self._folder or request.folder != PROJECT:
            raise Declined
        for name, value in request.environment.items():
            if name.startswith(b"PYTHON") and (name, value) not in _HARMLESS:
                raise Declined
        for kind in SHARED:
            there = Path(f"/proc/{pid}/ns/{kind}").stat().st_ino
            if there != Path(f"/proc/self/ns/{kind}").stat().st_ino:
                raise Declined

    def _lose(self, client: Client) -> None:
        """The client is gone, and its process with it."""
        if self._clients.pop(client.pid, None) is None:
            return  # lost since the selector saw it
        client.signal(signal.SIGKILL)
        self._forget(client)

    def _forget(self, client: Client) -> None:
        self._selector.unregister(client.reply)
        os.close(client.reply)
        with contextlib.suppress(FileNotFoundError):
            (FOLDER / str(client.pid)).unlink()

    def _reap(self) -> None:
        self._wakeup.recv(1 << 12)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            found = [one for one in self._clients.values() if one.process == pid]
            for client in found:
                del self._clients[client.pid]
                client.answer(_said(status))
                self._forget(client)


def _said(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exited {code}" if code >= 0 else f"killed {-code}"


def _identity(found: os.stat_result) -> tuple[int, int]:
    return (found.st_dev, found.st_ino)


def listen() -> int:
    """Make the folder, which is root's alone from its first moment; an old server's is emptied."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    os.mkfifo(FOLDER / "requests", 0o600)
    # For writing, too: a FIFO without a writer reads as ended.
    return os.open(FOLDER / "requests", os.O_RDWR)


def to_background() -> None:
    """Leave whoever started us: a child of pid 1, in a session of its own, without streams."""
    if child := os.fork():
        os.waitpid(child, 0)
        os._exit(0)
    os.setsid()
    if child := os.fork():
        (FOLDER / "server").write_text(f"{child}\n")
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
